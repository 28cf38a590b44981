/**
 * Builds the console: an HTML template whose `__CSP_NONCE__` the server replaces on every response, and hashed
 * assets that are served, and may be cached for ever, under the base below.
 */
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

export default defineConfig({
  root: "console",
  base: "/console/static/",
  publicDir: false,
  plugins: [react()],
  html: { cspNonce: "__CSP_NONCE__" },
  build: {
    outDir: "../dist/console",
    emptyOutDir: true,
    // An inlined asset would be a data: address, which a strict policy refuses.
    assetsInlineLimit: 0,
  },
});
