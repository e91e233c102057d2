/**
 * What the people who look after backups are told of, and what became of telling them.
 *
 * @module
 */
import type { Json } from "./part.ts";

/** How urgent a message is. */
export const NOTIFY_PRIORITIES = ["low", "medium", "high", "critical"] as const;

/** One of {@linkcode NOTIFY_PRIORITIES}. */
export type NotifyPriority = typeof NOTIFY_PRIORITIES[number];

/** Ways to reach people. */
export const CHANNELS = ["email", "slack", "webhook", "pagerduty"] as const;

/** One of {@linkcode CHANNELS}. */
export type Channel = typeof CHANNELS[number];

/** What happened. All but `message` belong to an incident, which is told of once, not with each event. */
export type NotifyKind =
  /** A job ended badly, or could not even be started. */
  | "job-failed"
  /** A job ended well: closes the incident of those that failed before it. */
  | "job-recovered"
  /** Something stored is damaged or gone; told at once and at the highest priority. */
  | "damage"
  /** A backup is overdue. */
  | "missed"
  /** Words of a person or of a plan, sent as they are, also when notifications are switched off. */
  | "message";

/** See the module. Holds neither secrets nor values of rows: it leaves the house. */
export interface NotifyEvent {
  kind: NotifyKind;
  /** What it is about, in one word: a job's type or `plan`. */
  type: string;
  /** The job that it comes from. An incident counts each job once. */
  jobId: string | null;
  /** What happened and why, in a sentence or two. */
  message: string;
  /** What the reader can do about it. */
  todo?: string;
  /** Ids, codes and counts. */
  details?: Record<string, Json>;
  /** The incident that it belongs to. @default what was done and the type, such as `backup:database` */
  key?: string;
  /** @default by kind */
  priority?: NotifyPriority;
  /** Names of channels. @default those of the settings */
  channels?: readonly string[];
  /** For a `message`: it is sent once for each id. @default a new one */
  id?: string;
}

/** What became of an event. */
export interface NotifyReport {
  /** The message's id; null when none was made of the event. */
  messageId: string | null;
  /** Channels that took it. Empty for what is still being sent in the background. */
  sent: string[];
  /** Channels that did not, with the reason. */
  failed: { channel: string; message: string }[];
  /** Why nothing was sent; null when something was or is being sent. */
  silencedBy: string | null;
}
