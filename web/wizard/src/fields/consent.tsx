/**
 * A consent at a provider: a button opens a window, and this page asks the flow until the connection can be used. What
 * happens in the window decides nothing: it may be closed, cut off by the provider, or never say a word.
 */

import { Button, Group } from "@mantine/core";
import { type ReactNode, useCallback, useEffect, useRef, useState } from "react";
import type { ConsentWish, CreatedComponent } from "../../../src/api";
import { type Poll, poll } from "../../../src/poll";
import { FlowFailure } from "../client";
import { useSay } from "../copy";
import { useForm } from "./form";

const WINDOW = "popup,width=560,height=760";
const CHANNEL = "make-bridge-oauth";

interface ConsentProps {
  uuid: string;
  offers: { label: string; wish: ConsentWish }[];
  connected(component: CreatedComponent): void;
}

export function Consent({ uuid, offers, connected }: ConsentProps): ReactNode {
  const say = useSay();
  const ports = useForm();
  const [waiting, setWaiting] = useState(false);
  const [trouble, setTrouble] = useState<string | null>(null);
  const follow = useRef<{ poll: Poll; hints: BroadcastChannel } | null>(null);

  const stop = useCallback(() => {
    follow.current?.poll.stop();
    follow.current?.hints.close();
    follow.current = null;
  }, []);
  useEffect(() => stop, [stop]);

  const wait = (connectionId: number) => {
    stop();
    const asking = poll(async () => {
      const found = await ports.connected(uuid, connectionId).catch(() => null);
      if (found === null) return false;
      stop();
      setWaiting(false);
      connected(found);
      return true;
    });
    const hints = new BroadcastChannel(CHANNEL);
    hints.onmessage = () => asking.soon();
    follow.current = { poll: asking, hints };
  };

  const begin = async (wish: ConsentWish) => {
    setTrouble(null);
    // In the click itself, or browsers block it; it goes to its address when that is known.
    const opened = window.open("about:blank", "_blank", WINDOW);
    if (opened === null) {
      setTrouble(say("consent.blocked"));
      return;
    }
    try {
      const { connectionId, startUrl } = await ports.consent(uuid, wish);
      opened.location.replace(startUrl);
      setWaiting(true);
      wait(connectionId);
    } catch (cause) {
      opened.close();
      setTrouble(cause instanceof FlowFailure ? cause.message : say("consent.failed"));
    }
  };

  return (
    <>
      <p className="muted small">{say("consent.text")}</p>
      <Group gap="sm">
        {offers.map(({ label, wish }) => (
          <Button key={label} variant="default" size="md" onClick={() => void begin(wish)}>
            {label}
          </Button>
        ))}
      </Group>
      <p className="muted small" role="status">
        {waiting ? say("consent.waiting") : ""}
      </p>
      {trouble && <p className="group-error">{trouble}</p>}
    </>
  );
}
