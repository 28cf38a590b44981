/** Entry of the demo page: the integrator's product "Acme CRM" around the widget. */

import type { DemoSession } from "../../src/api";
import { getJson } from "./backend";
import { showPages } from "./pages";
import { drawSamples } from "./samples";
import { startTrying } from "./trying";
import "./demo.css";

function write(id: string, text: string): void {
  const element = document.getElementById(id);
  if (element) element.textContent = text;
}

async function signIn(): Promise<void> {
  const { user, organization } = await getJson<DemoSession>("session");
  write("organization", organization);
  write("user-name", user.name);
  write("user-email", user.email);
  write(
    "avatar",
    user.name
      .split(" ")
      .map((word) => word.charAt(0))
      .join("")
      .slice(0, 2),
  );
}

drawSamples();
showPages();
startTrying();
signIn().catch(() => write("user-name", "Not signed in"));
