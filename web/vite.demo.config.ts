/** Builds the demo page "Acme CRM": index.html at /demo, its script and style under the base below. */
import { defineConfig } from "vite";

export default defineConfig({
  root: "demo",
  base: "/demo/static/",
  publicDir: false,
  build: {
    outDir: "../dist/demo",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
});
