/**
 * An incident as it is remembered: something that failed and has not ended well since.
 *
 * @module
 */
import type { Json } from "./part.ts";

/** An open incident. Times are ISO 8601 in UTC. */
export interface Alert {
  /** The same in every message of the incident, so that receivers can fold them. */
  incidentId: string;
  /** What it is about; one of a key is open at a time. */
  key: string;
  firstAt: string;
  lastAt: string;
  /** Events so far. */
  count: number;
  /** The job that was counted last. */
  lastJobId: string | null;
  /** When people were first told of it; null while they were not. */
  notifiedAt: string | null;
  escalatedAt: string | null;
  details: Record<string, Json>;
}

/** A message on its way to one channel. */
export interface Delivery {
  messageId: string;
  channel: string;
  message: Json;
  /** Times that it was taken up to be sent, this one included. */
  attempts: number;
  createdAt: string;
}

/** What an event makes of the incident of its key. */
export interface AlertChange {
  /** The incident as it is now; null when there is none. */
  alert: Alert | null;
  closed: boolean;
  /** Messages to send, one for each channel. */
  deliveries: Pick<Delivery, "messageId" | "channel" | "message">[];
}

/** How a channel has done of late. */
export interface ChannelRecord {
  channel: string;
  lastSentAt: string | null;
  /** The newest failure after the last success; null when there is none. */
  lastError: string | null;
  lastFailedAt: string | null;
  unsent: number;
}
