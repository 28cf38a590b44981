/** Builds the page that shows the API: index.html at /docs, its script and style under the base below. */
import { defineConfig } from "vite";

export default defineConfig({
  root: "docs",
  base: "/docs/static/",
  publicDir: false,
  html: { cspNonce: "__CSP_NONCE__" },
  build: {
    outDir: "../dist/docs",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The library that draws the page is one large file, loaded by this page alone.
    chunkSizeWarningLimit: 2500,
  },
});
