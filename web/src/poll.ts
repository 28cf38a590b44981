/**
 * Asks again until it is told to stop: 1 s after the first answer, then half as long again each time, 5 s at
 * most. The widget follows flows and runs with it, the demo its executions.
 *
 * One question is in flight at a time. `soon()` is for hints (the window came back, the wizard sent a message):
 * it asks at once and starts the pauses over.
 */

export interface Poll {
  soon(): void;
  stop(): void;
}

export interface Pauses {
  first?: number;
  longest?: number;
  growth?: number;
}

export function pause(round: number, { first = 1000, longest = 5000, growth = 1.5 }: Pauses = {}): number {
  return Math.min(longest, Math.round(first * growth ** round));
}

/** `ask` answers whether it is finished; what goes wrong inside is its own affair. */
export function poll(ask: () => Promise<boolean>, pauses: Pauses = {}): Poll {
  let round = 0;
  let stopped = false;
  let asking = false;
  let again = false;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const turn = async (): Promise<void> => {
    asking = true;
    const finished = await ask();
    asking = false;
    if (finished) stopped = true;
    if (stopped) return;
    timer = setTimeout(turn, again ? 0 : pause(round, pauses));
    round = again ? 0 : round + 1;
    again = false;
  };

  timer = setTimeout(turn, pause(0, pauses));
  round = 1;

  return {
    soon() {
      if (stopped) return;
      if (asking) {
        again = true;
        return;
      }
      clearTimeout(timer);
      round = 0;
      timer = setTimeout(turn, 0);
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
