/** What the modules of a run did, told by their names. Pure; widget and demo share it. */

import type { RunStep, StepError } from "./api";

/** One module of a run, however often it worked. */
export interface ModuleStory {
  moduleId: number;
  name: string;
  app: string;
  times: number;
  error: StepError | null;
  steps: RunStep[];
}

/** Servers before this version give no names; then the kind has to do, in words. */
function nameOf({ name, module }: RunStep): string {
  if (name) return name;
  const action = module.split(":")[1] ?? module;
  const words = action.replaceAll(/([a-z])([A-Z])/g, "$1 $2").toLocaleLowerCase();
  return words.charAt(0).toLocaleUpperCase() + words.slice(1);
}

/** The modules in the order in which they first worked. */
export function storiesOf(steps: RunStep[]): ModuleStory[] {
  const stories = new Map<number, ModuleStory>();
  for (const step of steps) {
    const { moduleId, module, app, error } = step;
    const story = stories.get(moduleId) ?? {
      moduleId,
      name: nameOf(step),
      app: app ?? module.split(":")[0] ?? "",
      times: 0,
      error: null,
      steps: [],
    };
    story.times += 1;
    story.error ??= error ?? null;
    story.steps.push(step);
    stories.set(moduleId, story);
  }
  return [...stories.values()];
}

/** Errors carry a name for machines; this is what it means for a person. The server's own sentence stands behind it. */
const CAUSES: Record<string, string> = {
  ConnectionError: "The other side could not be reached.",
  RateLimitError: "The other side received too many requests.",
  ModuleTimeoutError: "The other side took too long to answer.",
  OutOfSpaceError: "There is no space left on the other side.",
  DataError: "The other side did not accept the data.",
  DuplicateDataError: "The other side has this entry already.",
  BundleValidationError: "Something that is needed was missing or had the wrong form.",
  InvalidConfigurationError: "A setting is not right.",
  InvalidAccessTokenError: "Access was refused: the sign-in may have to be renewed.",
  MaxFileSizeExceededError: "A file was too large.",
  MaxResultsExceededError: "There were too many results.",
  OperationsLimitExceededError: "The limit of operations is reached.",
  PossiblyDoneError: "It is not certain whether this was done.",
  ExecutionInterruptedError: "The run was interrupted.",
};

export function errorCause(error: StepError): string | null {
  return CAUSES[error.name ?? ""] ?? null;
}

export function errorMessage(error: StepError): string {
  return error.message || errorCause(error) || error.name || "";
}
