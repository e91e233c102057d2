/**
 * Whether people are told of an event: once when an incident begins, once when it does not end, once when
 * it has ended. Pure, so that a database and the memory of a process decide alike.
 *
 * @module
 */
import type { Alert } from "../core/alert.ts";
import type { NotifyEvent } from "../core/notify_event.ts";

/** What is told. */
export type Telling =
  /** Something failed for the first time, is damaged or overdue. */
  | "opened"
  /** It has failed as often as the threshold says. */
  | "escalated"
  /** What failed works again. */
  | "recovered"
  /** A job ended well, and nothing was wrong before. */
  | "completed";

/** What decides besides the incident and the event. */
export interface DecideOptions {
  /** The failure of this number escalates. */
  threshold: number;
  now: Date;
  /** Whether a message would reach anybody: what nobody was told of is told of the next time. */
  canTell: boolean;
  /** Whether jobs that end well are told of. */
  tellSuccess: boolean;
  newId: () => string;
}

/** What becomes of the incident. */
export interface Decision {
  alert: Alert | null;
  closed: boolean;
  tell: Telling | null;
}

/** @param open the open incident of the event's key, if there is one */
export function decideAlert(
  { key, open }: { key: string; open: Alert | null },
  event: NotifyEvent,
  options: DecideOptions,
): Decision {
  return event.kind === "job-recovered"
    ? decideRecovery(open, options)
    : decideFailure({ key, open }, event, options);
}

function decideRecovery(
  open: Alert | null,
  { now, canTell, tellSuccess }: DecideOptions,
): Decision {
  if (open === null) {
    return { alert: null, closed: false, tell: canTell && tellSuccess ? "completed" : null };
  }
  const isKnown = open.notifiedAt !== null;
  return {
    alert: { ...open, lastAt: now.toISOString() },
    closed: true,
    tell: canTell && isKnown ? "recovered" : null,
  };
}

function decideFailure(
  { key, open }: { key: string; open: Alert | null },
  event: NotifyEvent,
  { threshold, now, canTell, newId }: DecideOptions,
): Decision {
  const at = now.toISOString();
  // What is overdue stays so from look to look; a job may be told of twice.
  const isCounted = open !== null && (event.kind === "missed" ||
    event.jobId !== null && open.lastJobId === event.jobId);
  const alert: Alert = {
    incidentId: open?.incidentId ?? newId(),
    key,
    firstAt: open?.firstAt ?? at,
    lastAt: at,
    count: (open?.count ?? 0) + (isCounted ? 0 : 1),
    lastJobId: event.jobId,
    notifiedAt: open?.notifiedAt ?? null,
    escalatedAt: open?.escalatedAt ?? null,
    details: event.details ?? {},
  };
  // Damage is told of at the highest priority at once, what is overdue does not happen again, and what is of
  // low priority is news, not a failure.
  const mayEscalate = event.kind === "job-failed" && event.priority !== "low" &&
    alert.escalatedAt === null;
  const tell = !canTell
    ? null
    : mayEscalate && alert.count >= threshold
    ? "escalated"
    : alert.notifiedAt === null
    ? "opened"
    : null;
  if (tell !== null) alert.notifiedAt ??= at;
  if (tell === "escalated") alert.escalatedAt = at;
  return { alert, closed: false, tell };
}

/** The incidents that an event is about. What ended well also ends what was overdue. */
export function alertKeys(event: NotifyEvent): string[] {
  if (event.key !== undefined) return [event.key];
  const family = /^(restore|verify|cleanup|replicate|recovery)_/.exec(event.jobId ?? "")?.[1] ??
    "backup";
  const usual = `${family}:${event.type}`;
  switch (event.kind) {
    case "damage":
      return [`damage:${event.type}`];
    case "missed":
      return [`missed:${event.type}`];
    case "job-recovered":
      return family === "backup" ? [usual, `missed:${event.type}`] : [usual];
    default:
      return [usual];
  }
}
