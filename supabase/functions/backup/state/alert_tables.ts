/**
 * Rows of incidents and of messages on their way. Written before anything is sent, so that a worker which
 * is lost between sending and recording leaves a message that is sent again rather than never.
 *
 * @module
 */
import type postgres from "postgres";
import type { Alert, AlertChange, ChannelRecord, Delivery } from "../core/alert.ts";
import type { Sql, StateDatabase } from "./database.ts";

/** How long whoever records a message has to send it before somebody else takes it up. */
const CLAIM_SECONDS = 90;

/** Pauses between tries double up to an hour; after a day nobody wants to hear of it. */
const LONGEST_PAUSE_SECONDS = 3600;
const GIVE_UP_HOURS = 24;

/** What is over is kept so long for people who look. */
const KEPT_DAYS = 90;

/** Messages that one worker takes up at a time. */
const MOST_CLAIMED = 20;

/** See the module. */
export class AlertTables {
  readonly #database: StateDatabase;

  constructor(database: StateDatabase) {
    this.#database = database;
  }

  /**
   * Changes the incident of a key, one caller at a time, and records the messages that come of it. They are
   * the caller's to send now.
   *
   * @param decide what becomes of the open incident; called within the transaction
   */
  async change(key: string, decide: (open: Alert | null) => AlertChange): Promise<AlertChange> {
    return await this.#database.transaction("record an incident", async (sql) => {
      await sql`select pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtextextended(${key}, 7277816997830724))`;
      const [row] = await sql`
        select * from backup_internal.alerts where alert_key = ${key} and state = 'open'`;
      const change = decide(row === undefined ? null : toAlert(row));
      if (change.alert !== null) await writeAlert(sql, change.alert, change.closed);
      return { ...change, deliveries: await insertDeliveries(sql, change.deliveries) };
    });
  }

  /** Records a message that belongs to no incident; what of it was sent before, and what is to be sent. */
  async add(
    messageId: string,
    deliveries: AlertChange["deliveries"],
  ): Promise<{ sent: string[]; unsent: AlertChange["deliveries"] }> {
    return await this.#database.transaction("record a message", async (sql) => {
      await insertDeliveries(sql, deliveries);
      const rows = await sql`
        select channel from backup_internal.notifications
         where message_id = ${messageId} and sent_at is not null`;
      const sent = rows.map((row) => row.channel as string);
      return { sent, unsent: deliveries.filter(({ channel }) => !sent.includes(channel)) };
    });
  }

  /** Takes up messages that nobody has sent in time. */
  async claimUnsent(): Promise<Delivery[]> {
    const rows = await this.#database.run("take up messages", (sql) =>
      sql`
        update backup_internal.notifications n set attempts = n.attempts + 1,
          next_at = now() + make_interval(secs => least(${LONGEST_PAUSE_SECONDS},
            ${CLAIM_SECONDS} * power(2, n.attempts)))
         where (n.message_id, n.channel) in (
           select message_id, channel from backup_internal.notifications
            where sent_at is null and given_up_at is null and next_at <= now()
            order by next_at limit ${MOST_CLAIMED} for update skip locked)
        returning message_id, channel, message, attempts, created_at`);
    return rows.map((row) => ({
      messageId: row.message_id,
      channel: row.channel,
      message: row.message,
      attempts: row.attempts,
      createdAt: row.created_at.toISOString(),
    }));
  }

  /** A channel has taken a message. */
  async markSent({ messageId, channel }: Pick<Delivery, "messageId" | "channel">): Promise<void> {
    await this.#database.run("record a sent message", (sql) =>
      sql`
        update backup_internal.notifications set sent_at = now()
         where message_id = ${messageId} and channel = ${channel}`);
  }

  /** A channel has not taken a message. True when it is not tried again. */
  async markFailed(
    { messageId, channel }: Pick<Delivery, "messageId" | "channel">,
    error: string,
  ): Promise<boolean> {
    const [row] = await this.#database.run("record a message that was not sent", (sql) =>
      sql`
        update backup_internal.notifications set last_error = ${error}, failed_at = now(),
          given_up_at = case when created_at < now() - make_interval(hours => ${GIVE_UP_HOURS})
            then now() end
         where message_id = ${messageId} and channel = ${channel}
        returning given_up_at is not null as given_up`);
    return row?.given_up === true;
  }

  /** Open incidents, newest first; with a prefix only those whose key begins with it. */
  async open({ prefix = "", limit = 50 }: { prefix?: string; limit?: number } = {}): Promise<
    Alert[]
  > {
    const rows = await this.#database.run("read the incidents", (sql) =>
      sql`
        select * from backup_internal.alerts
         where state = 'open' and pg_catalog.starts_with(alert_key, ${prefix})
         order by first_at desc limit ${limit}`);
    return rows.map(toAlert);
  }

  /** How each channel has done of late. */
  async channels(): Promise<ChannelRecord[]> {
    const rows = await this.#database.run("read the messages", (sql) =>
      sql`
        select n.channel, n.last_sent, n.unsent, f.last_error, f.failed_at
          from (select channel, max(sent_at) as last_sent,
                       (count(*) filter (where sent_at is null and given_up_at is null))::integer as unsent
                  from backup_internal.notifications group by channel) n
          left join lateral (
            select last_error, failed_at from backup_internal.notifications m
             where m.channel = n.channel and m.failed_at is not null
               and m.failed_at > coalesce(n.last_sent, '-infinity')
             order by m.failed_at desc limit 1) f on true
         order by n.channel`);
    return rows.map((row) => ({
      channel: row.channel,
      lastSentAt: row.last_sent?.toISOString() ?? null,
      lastError: row.last_error,
      lastFailedAt: row.failed_at?.toISOString() ?? null,
      unsent: row.unsent,
    }));
  }

  /** Forgets what has long been over. */
  async prune(): Promise<void> {
    await this.#database.run("forget old messages", async (sql) => {
      await sql`
        delete from backup_internal.notifications
         where created_at < now() - make_interval(days => ${KEPT_DAYS})`;
      await sql`
        delete from backup_internal.alerts
         where state = 'closed' and last_at < now() - make_interval(days => ${KEPT_DAYS})`;
    });
  }
}

async function writeAlert(sql: Sql, alert: Alert, closed: boolean): Promise<void> {
  const { incidentId, key, firstAt, lastAt, count, lastJobId, notifiedAt, escalatedAt } = alert;
  const closedAt = closed ? lastAt : null;
  await sql`
    insert into backup_internal.alerts (incident_id, alert_key, state, first_at, last_at, count,
      last_job_id, notified_at, escalated_at, closed_at, details)
    values (${incidentId}, ${key}, ${closed ? "closed" : "open"}, ${firstAt}, ${lastAt}, ${count},
      ${lastJobId}, ${notifiedAt}, ${escalatedAt}, ${closedAt}, ${
    sql.json(storable(alert.details))
  })
    on conflict (incident_id) do update set state = excluded.state, last_at = excluded.last_at,
      count = excluded.count, last_job_id = excluded.last_job_id, notified_at = excluded.notified_at,
      escalated_at = excluded.escalated_at, closed_at = excluded.closed_at,
      details = excluded.details`;
}

async function insertDeliveries(
  sql: Sql,
  deliveries: AlertChange["deliveries"],
): Promise<AlertChange["deliveries"]> {
  const added: AlertChange["deliveries"] = [];
  for (const delivery of deliveries) {
    const { messageId, channel, message } = delivery;
    const rows = await sql`
      insert into backup_internal.notifications (message_id, channel, message, next_at)
      values (${messageId}, ${channel}, ${sql.json(storable(message))},
        now() + make_interval(secs => ${CLAIM_SECONDS}))
      on conflict (message_id, channel) do nothing returning 1`;
    if (rows.length > 0) added.push(delivery);
  }
  return added;
}

/** The server's JSON has no character NUL. */
function storable(value: unknown): postgres.JSONValue {
  return JSON.parse(JSON.stringify(value).replaceAll("\\u0000", ""));
}

function toAlert(row: postgres.Row): Alert {
  return {
    incidentId: row.incident_id,
    key: row.alert_key,
    firstAt: row.first_at.toISOString(),
    lastAt: row.last_at.toISOString(),
    count: row.count,
    lastJobId: row.last_job_id,
    notifiedAt: row.notified_at?.toISOString() ?? null,
    escalatedAt: row.escalated_at?.toISOString() ?? null,
    details: row.details,
  };
}
