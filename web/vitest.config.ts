/** Unit tests of the pages' logic; what needs a real browser is in e2e/. */
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.{ts,tsx}"],
    // Tests that need a document say so in their first line; most do not.
    environment: "node",
    restoreMocks: true,
  },
});
