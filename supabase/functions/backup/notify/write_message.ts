/**
 * A message in words: what happened, why, what to do, ids and links. Channels only give it their form.
 *
 * @module
 */
import type { Alert } from "../core/alert.ts";
import { JOB_KINDS } from "../core/job.ts";
import type { NotifyEvent, NotifyPriority } from "../core/notify_event.ts";
import type { Telling } from "./decide_alert.ts";

/** What is sent. Survives JSON; the same in every try, so that receivers can tell a repetition. */
export interface Message {
  id: string;
  incidentId: string | null;
  /** What is told. */
  event: Telling | "message";
  kind: NotifyEvent["kind"];
  type: string;
  jobId: string | null;
  priority: NotifyPriority;
  title: string;
  text: string;
  todo: string | null;
  /** Labels and values. */
  facts: [string, string][];
  link: string | null;
  /** When it happened, ISO 8601 in UTC. */
  at: string;
}

/** What a message is made of. */
export interface MessageParts {
  event: NotifyEvent;
  tell: Telling | "message";
  alert: Alert | null;
  now: Date;
  id: string;
  /** Name of the project or database, for people who look after several. */
  project: string | null;
  /** Where the service is called; null when it does not know. */
  serviceUrl: string | null;
}

/** Longest texts, in characters. */
const TITLE_LENGTH = 150;
const TEXT_LENGTH = 2000;
const FACT_LENGTH = 300;
const MOST_FACTS = 20;

/** See the module. */
export function writeMessage(parts: MessageParts): Message {
  const { event, tell, alert, now, id, project } = parts;
  const { jobId } = event;
  return {
    id,
    incidentId: alert?.incidentId ?? null,
    event: tell,
    kind: event.kind,
    type: event.type,
    jobId,
    priority: event.priority ?? usualPriority(event, tell),
    title: clean(`${titleOf(parts)}${project === null ? "" : ` (${project})`}`, TITLE_LENGTH, " "),
    text: clean(event.message, TEXT_LENGTH),
    todo: event.todo === undefined ? null : clean(event.todo, TEXT_LENGTH),
    facts: factsOf(parts).map(([label, value]) => [label, clean(value, FACT_LENGTH, " ")]),
    link: linkOf(parts),
    at: now.toISOString(),
  };
}

/** The whole message as plain text. */
export function plainText({ title, text, todo, facts, link }: Message): string {
  return [
    title,
    text,
    ...(todo === null ? [] : [`What to do: ${todo}`]),
    facts.map(([label, value]) => `${label}: ${value}`).join("\n"),
    ...(link === null ? [] : [link]),
  ].filter((part) => part !== "").join("\n\n");
}

function usualPriority({ kind }: NotifyEvent, tell: MessageParts["tell"]): NotifyPriority {
  if (tell === "recovered" || tell === "completed") return "low";
  if (tell === "message") return "medium";
  return tell === "escalated" || kind === "damage" ? "critical" : "high";
}

/** What a job does, by its id. */
const DOINGS: Record<string, string> = {
  restore: "Restore",
  verify: "Verification",
  cleanup: "Cleanup",
  replicate: "Copying",
  recovery: "Recovery plan",
};

/** Of several types, or of all: to name one would mislead. */
const OF_ALL: readonly string[] = ["verify", "cleanup"];

function titleOf({ event, tell, alert }: MessageParts): string {
  if (tell === "message") return event.message;
  const [family = "", about, name] = (alert?.key ?? event.key ?? "").split(":");
  const copy = about === "copy" && name !== undefined ? name : null;
  const of = family === "replicate"
    ? ` to ${about}`
    : copy !== null
    ? ` of ${copy}`
    : OF_ALL.includes(family)
    ? ""
    : ` (${event.type})`;
  const doing = `${DOINGS[family] ?? "Backup"}${of}`;
  if (tell === "recovered") {
    const ended: Record<string, string> = {
      damage: copy === null
        ? `Stored backups are whole again (${event.type})`
        : `The copy ${copy} is whole again`,
      missed: `${doing} is no longer overdue`,
      partial: `${doing} leaves nothing out any more`,
      shrunk: `${doing} has not shrunk again`,
      resized: `${doing} is of its usual size again`,
    };
    return ended[family] ?? `${doing} works again`;
  }
  if (tell === "completed") return `${doing} is done`;
  if (event.kind === "damage") {
    return copy === null
      ? `Stored backups are damaged (${event.type})`
      : `The copy ${copy} is damaged`;
  }
  if (event.kind === "missed") return `${doing} is overdue`;
  if (family === "shrunk") return `${doing} holds less than half of the one before it`;
  if (family === "resized") return `${doing} is of another size than the one before it`;
  if (family === "partial") return `${doing} leaves items out`;
  const times = alert?.count ?? 1;
  return times > 1 ? `${doing} has failed ${times} times` : `${doing} has failed`;
}

function factsOf({ event, alert, now }: MessageParts): [string, string][] {
  const facts: [string, string][] = [];
  if (event.jobId !== null) facts.push(["Job", event.jobId]);
  for (const [name, value] of Object.entries(event.details ?? {})) {
    facts.push([name, typeof value === "string" ? value : JSON.stringify(value)]);
  }
  if (alert !== null) {
    facts.push(["Incident", alert.incidentId], ["Since", alert.firstAt]);
    if (alert.count > 1) facts.push(["Times", String(alert.count)]);
  }
  return [...facts.slice(0, MOST_FACTS), ["At", now.toISOString()]];
}

function linkOf({ event: { jobId }, serviceUrl }: MessageParts): string | null {
  if (serviceUrl === null) return null;
  if (jobId === null) return `${serviceUrl}?action=status`;
  const id = encodeURIComponent(jobId);
  const prefix = jobId.split("_")[0];
  if (prefix === "recovery") return `${serviceUrl}?action=execution&executionId=${id}`;
  const kind = JOB_KINDS.find((one) => one === prefix) ?? "backup";
  return `${serviceUrl}?action=job&jobId=${id}&type=${kind}`;
}

/** Without characters that change how the text around them is read, and not too long. */
function clean(text: string, length: number, lineBreak = "\n"): string {
  const tidy = text.replace(/\r?\n/g, lineBreak)
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => character === "\n" ? character : "")
    .trim();
  return tidy.length > length ? `${tidy.slice(0, length - 1)}…` : tidy;
}
