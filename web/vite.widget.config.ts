/**
 * Builds the widget: one ES module without imports, so that an integrator's page needs a single script tag
 * and a single address in its content security policy.
 */
import { defineConfig } from "vite";

export default defineConfig({
  publicDir: false,
  build: {
    outDir: "dist/js",
    emptyOutDir: true,
    modulePreload: false,
    lib: {
      entry: "widget/src/main.ts",
      formats: ["es"],
      fileName: () => "portal-integrations.js",
    },
    // In library builds Vite leaves white space and notes for bundlers to come; nothing comes after us.
    rolldownOptions: { output: { minify: { compress: true, mangle: true, codegen: true }, comments: false } },
  },
});
