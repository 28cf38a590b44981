/**
 * The panel "Try it": sends the sample order to every active integration, shows what each answered, and the executions
 * arriving. The list is asked for again while
 * something runs, and whenever the widget tells that an integration changed.
 */

import type { DemoExecution, DemoExecutionDetail, SendOrderAnswer } from "../../src/api";
import { paint } from "../../src/dom";
import { type Poll, poll } from "../../src/poll";
import { drawSending, type Sending } from "./answers";
import { getJson, post, Refused } from "./backend";
import { drawExecutions } from "./executions";

/** An execution that takes longer is still listed as running; the next look finds it. */
const QUESTIONS = 20;
const LOOK_EVERY = 15_000;

class Trying {
  private executions: DemoExecution[] | null = null;
  private details = new Map<string, DemoExecutionDetail | Error>();
  private open: string | null = null;
  private sending: Sending | null = null;
  private expected: ReadonlySet<string> = new Set();
  private following: Poll | null = null;

  constructor(
    private readonly runs: HTMLElement,
    private readonly said: HTMLElement,
    private readonly button: HTMLButtonElement,
  ) {}

  start(): void {
    this.button.addEventListener("click", () => void this.send());
    for (const type of ["bridge:connect-success", "bridge:activated", "bridge:removed"]) {
      document.addEventListener(type, () => void this.look());
    }
    setInterval(() => {
      if (document.visibilityState === "visible") void this.look();
    }, LOOK_EVERY);
    this.draw();
    void this.look();
  }

  private async send(): Promise<void> {
    if (this.button.getAttribute("aria-disabled") === "true") return;
    this.button.setAttribute("aria-disabled", "true");
    this.sending = { state: "sending" };
    this.draw();
    try {
      const { sent } = await post<SendOrderAnswer>("send-order");
      this.sending = { state: "sent", sent };
      this.expected = new Set(sent.map(({ executionId }) => executionId).filter((id) => id !== null));
      this.follow();
    } catch (cause) {
      const text = cause instanceof Refused ? cause.message : "The order could not be sent. Nothing was changed.";
      this.sending = { state: "refused", text };
    }
    this.button.removeAttribute("aria-disabled");
    this.draw();
  }

  private follow(): void {
    let questions = 0;
    this.following?.stop();
    this.following = poll(
      async () => {
        questions += 1;
        await this.look();
        const ended = new Set(this.executions?.filter(({ status }) => status !== 0).map(({ id }) => id));
        return [...this.expected].every((id) => ended.has(id)) || questions >= QUESTIONS;
      },
      { first: 400, longest: 3000 },
    );
  }

  private async look(): Promise<void> {
    try {
      this.executions = (await getJson<{ executions: DemoExecution[] }>("executions")).executions;
    } catch {
      // The list that is shown stays; the next look may succeed.
      this.executions ??= [];
    }
    this.draw();
  }

  private async toggle(id: string): Promise<void> {
    this.open = this.open === id ? null : id;
    this.draw();
    if (this.open !== id) return;
    try {
      this.details.set(id, await getJson<DemoExecutionDetail>(`executions/${encodeURIComponent(id)}`));
    } catch (cause) {
      this.details.set(id, cause instanceof Error ? cause : new Error(String(cause)));
    }
    this.draw();
  }

  private draw(): void {
    paint(this.said, drawSending(this.sending));
    paint(
      this.runs,
      drawExecutions({
        executions: this.executions,
        details: this.details,
        open: this.open,
        expected: this.expected,
        now: Date.now(),
        toggle: (id) => void this.toggle(id),
      }),
    );
  }
}

export function startTrying(): void {
  const [runs, said, button] = ["runs", "result", "send"].map((id) => document.getElementById(id));
  if (runs && said && button instanceof HTMLButtonElement) new Trying(runs, said, button).start();
}
