/** Entry of the wizard's page: takes the secret out of the address and draws the app, styles under the page's nonce. */

import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app";
import { lookOf } from "./brand";
import { Spoken } from "./copy";
import { EndedPage, HandOver } from "./hand-over/app";
import { Headings } from "./heading";
import { ExpiredPage } from "./pages/problem-page";
import { flowIdOf, handOverIdOf, takeSecret } from "./secret";
import { theme, variablesFor } from "./theme";
import "./mantine";
import "../../src/palette.css";
import "./wizard.css";

const nonce = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? "";
const flowId = flowIdOf(location.pathname);
const handOverId = handOverIdOf(location.pathname);
const linkId = flowId ?? handOverId;
const secret = linkId && takeSecret(linkId);
const look = lookOf(location.search);
const scheme = look.scheme ?? ("auto" as const);

/** Mantine would keep a chosen scheme in storage, which a frame may not have; the wizard is told, or follows the system. */
const schemes = {
  get: () => scheme,
  set: () => {},
  subscribe: () => {},
  unsubscribe: () => {},
  clear: () => {},
};

const queries = new QueryClient({
  defaultOptions: {
    queries: { refetchOnWindowFocus: false, refetchOnReconnect: false, staleTime: Number.POSITIVE_INFINITY },
  },
});

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <MantineProvider
        theme={theme}
        cssVariablesResolver={variablesFor(look)}
        defaultColorScheme={scheme}
        colorSchemeManager={schemes}
        getStyleNonce={() => nonce}
      >
        <QueryClientProvider client={queries}>
          <Spoken>
            <Headings>
              {flowId && secret ? (
                <App flowId={flowId} secret={secret} />
              ) : handOverId && secret ? (
                <HandOver linkId={handOverId} secret={secret} />
              ) : handOverId ? (
                <EndedPage />
              ) : (
                <ExpiredPage vendor={null} />
              )}
            </Headings>
          </Spoken>
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>,
  );
}
