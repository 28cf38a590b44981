/** The end: back to the integrator's page where one was named, else the window closes, or asks to be closed. */

import { Anchor } from "@mantine/core";
import { type ReactNode, useEffect } from "react";
import type { FlowState } from "../../../src/api";
import { useSay } from "../copy";
import { Glyph } from "../glyph";
import { Heading } from "../heading";
import { isPopUp, webAddress } from "../hints";

/** Long enough to read one line. */
const CLOSE_AFTER = 2600;
const LEAVE_AFTER = 1400;

export function DonePage({ state }: { state: FlowState }): ReactNode {
  const say = useSay();
  const { scenario, integrator } = state;
  const target = webAddress(state.options.redirectUri);
  const popUp = isPopUp();

  useEffect(() => {
    if (!target && !popUp) return;
    const timer = setTimeout(
      () => {
        if (target) leaveFor(target);
        else window.close();
      },
      target ? LEAVE_AFTER : CLOSE_AFTER,
    );
    return () => clearTimeout(timer);
  }, [target, popUp]);

  return (
    <div className="centred">
      <span className="big-mark" data-tone="good" aria-hidden="true">
        <Glyph name="check" size={30} />
      </span>
      <Heading>{say("done.title")}</Heading>
      <p className="lead">
        {say(scenario.enable ? "done.on" : "done.off", { name: scenario.name, vendor: integrator.name })}
      </p>
      {target ? (
        <p className="muted">
          {say("done.back", { vendor: integrator.name })} <Anchor href={target}>{say("done.back.link")}</Anchor>
        </p>
      ) : (
        <p className="muted">
          {say("done.close")} {popUp && say("done.closing")}
        </p>
      )}
    </div>
  );
}

/** The next page is somebody else's: it must not hold a handle on the window that opened us. */
function leaveFor(target: string): void {
  if (window.opener) window.opener = null;
  location.replace(target);
}
