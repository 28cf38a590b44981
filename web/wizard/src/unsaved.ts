/** Answers that would be lost: a closing window asks, and the page around a frame is told so that it can ask. */

import { useEffect } from "react";
import { sendHint } from "./hints";

export function useUnsaved(flow: string, unsaved: boolean): void {
  useEffect(() => {
    sendHint({ type: "make-bridge:dirty", flow, dirty: unsaved });
    if (!unsaved) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, [flow, unsaved]);
}
