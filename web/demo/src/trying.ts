/**
 * The panel "Try it": sends the sample order and shows the execution arriving. The list is asked for again while
 * something runs, and whenever the widget tells that an integration changed.
 */

import type { DemoExecution, DemoExecutionDetail, SendOrderAnswer } from "../../src/api";
import { paint } from "../../src/dom";
import { type Poll, poll } from "../../src/poll";
import { getJson, post, Refused } from "./backend";
import { drawExecutions, drawResult, type Result } from "./executions";

/** An execution that takes longer is still listed as running; the next look finds it. */
const QUESTIONS = 20;
const LOOK_EVERY = 15_000;

class Trying {
  private executions: DemoExecution[] | null = null;
  private details = new Map<string, DemoExecutionDetail | Error>();
  private open: string | null = null;
  private result: Result | null = null;
  private expected: string | null = null;
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
    this.result = { tone: "info", text: "Sending the order…" };
    this.draw();
    try {
      const answer = await post<SendOrderAnswer>("send-order");
      this.result = resultOf(answer);
      this.expected = answer.executionId;
      this.follow();
    } catch (cause) {
      const text = cause instanceof Refused ? cause.message : "The order could not be sent. Nothing was changed.";
      this.result = { tone: "bad", text };
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
        const row = this.executions?.find(({ id }) => id === this.expected);
        const finished = row !== undefined && row.status !== 0;
        return finished || questions >= QUESTIONS;
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
    paint(this.said, drawResult(this.result));
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

function resultOf({ status, executionId }: SendOrderAnswer): Result {
  if (status >= 400) return { tone: "bad", text: `The integration answered ${status}. The order was not accepted.` };
  if (!executionId) return { tone: "good", text: "The order was accepted and will be handled in a moment." };
  return { tone: "good", text: "The order was accepted. Its run appears below." };
}

export function startTrying(): void {
  const [runs, said, button] = ["runs", "result", "send"].map((id) => document.getElementById(id));
  if (runs && said && button instanceof HTMLButtonElement) new Trying(runs, said, button).start();
}
