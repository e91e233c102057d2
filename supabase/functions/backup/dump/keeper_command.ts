/**
 * What pg_cron runs to hold a moment: one transaction inside the database, which needs no client.
 *
 * Tables are passed by number and named by the server, so no name of a user is in the command's text.
 * What happens is told in `application_name`, the only thing that others see of an open transaction.
 *
 * The transaction is READ COMMITTED: each step then sees what was committed before it, so that the
 * snapshot is newer than the locks.
 *
 * @module
 */
import { quoteLiteral } from "../postgres/quote.ts";
import { DOOR_SECONDS, doorOf } from "./snapshot_join.ts";

/** What a keeper is told. */
export interface KeeperCommandOptions {
  /** Its name: also that of the job of pg_cron. */
  name: string;
  /** Oids of the tables to lock. */
  tables: readonly number[];
  /** How long to wait for the lock of one table. */
  lockTimeoutMs: number;
  /** It ends itself after this time. */
  maxKeeperSeconds: number;
  /** A later start is one that nobody waits for any more. By the server's clock, ISO 8601. */
  startBefore: string;
}

/** What a job of pg_cron runs once its keeper is there; see `keeper.ts`. */
export const DISARMED = "select 1";

/** How long a keeper waits to be noticed, and how long it shows what it failed at. */
const NOTICED_SECONDS = 60;
const FAILED_SECONDS = 15;

/** Where `startBefore` stands in a command, for the clean-up. */
const START = /^-- start before (\S+)\n/;

/** The time until which a keeper with this command may start, or null when it is no such command. */
export function startBeforeOf(command: string): string | null {
  return START.exec(command)?.[1] ?? null;
}

/** The command. */
export function keeperCommand(options: KeeperCommandOptions): string {
  const scheduled = `EXISTS (
       SELECT FROM cron.job j
        WHERE j.jobname = me AND j.username = current_user AND j.command <> '${DISARMED}')`;
  // Below errors nothing is sent: a keeper's client has left, and a message to nobody would end it.
  return `-- start before ${options.startBefore}
SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY;
SELECT pg_catalog.set_config(s.name, s.value, true)
  FROM (VALUES ('statement_timeout', '0'), ('lock_timeout', '0'), ('transaction_timeout', '0'),
               ('idle_in_transaction_session_timeout', '0'), ('idle_session_timeout', '0'),
               ('client_connection_check_interval', '0'), ('client_min_messages', 'error'),
               ('search_path', ''), ('row_security', 'on')) s (name, value)
 WHERE EXISTS (SELECT FROM pg_catalog.pg_settings p WHERE p.name = s.name);
DO $keeper$
DECLARE
  me CONSTANT text := ${quoteLiteral(options.name)};
  wanted CONSTANT oid[] := '{${options.tables.map(Math.trunc).join(",")}}';
  patience CONSTANT timestamptz := pg_catalog.clock_timestamp() + interval '${NOTICED_SECONDS} s';
  lasts_until CONSTANT timestamptz :=
    pg_catalog.clock_timestamp() + interval '${Math.trunc(options.maxKeeperSeconds)} s';
  target oid;
  target_name text;
  failure text;
  snapshot text;
  cancelled boolean := false;
BEGIN
  IF pg_catalog.clock_timestamp() > ${quoteLiteral(options.startBefore)}::timestamptz
     OR NOT ${scheduled} THEN
    RETURN; -- started again, or too late: nobody asks for this moment
  END IF;
  PERFORM pg_catalog.set_config('application_name', me || '/here', false);
  WHILE ${scheduled} LOOP
    IF pg_catalog.clock_timestamp() > patience THEN RETURN; END IF;
    PERFORM pg_catalog.pg_sleep(0.02);
  END LOOP;

  BEGIN
    PERFORM pg_catalog.set_config('lock_timeout', '${
    Math.max(1, Math.trunc(options.lockTimeoutMs))
  }', true);
    FOREACH target IN ARRAY wanted LOOP
      SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) INTO STRICT target_name
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       WHERE c.oid = target;
      EXECUTE 'LOCK TABLE ONLY ' || target_name || ' IN ACCESS SHARE MODE';
    END LOOP;
  EXCEPTION WHEN OTHERS THEN
    failure := me || '/failed/' || SQLSTATE || '/' || target;
  END;
  IF failure IS NOT NULL THEN
    PERFORM pg_catalog.set_config('application_name', failure, false);
    PERFORM pg_catalog.pg_sleep(${FAILED_SECONDS});
    RETURN;
  END IF;

  PERFORM pg_catalog.set_config('lock_timeout', '0', true);
  snapshot := pg_catalog.pg_export_snapshot();
  PERFORM pg_catalog.set_config('application_name', me || '/' || snapshot || '/'
         || pg_catalog.to_hex((extract(epoch FROM pg_catalog.clock_timestamp()
                                            - pg_catalog.transaction_timestamp()) * 1000)::bigint)
         || '/' || pg_catalog.pg_current_wal_lsn(), false);
  WHILE pg_catalog.clock_timestamp() < lasts_until LOOP
    BEGIN
      PERFORM pg_catalog.pg_sleep(${DOOR_SECONDS});
      PERFORM pg_catalog.pg_advisory_lock_shared(${doorOf("snapshot")});
      PERFORM pg_catalog.pg_advisory_unlock_shared(${doorOf("snapshot")});
    EXCEPTION
      WHEN deadlock_detected THEN NULL; -- it had no other way out; locks and snapshot are older
      WHEN query_canceled THEN
        -- A background worker's statement_timeout was set going before this command could say no.
        IF cancelled OR EXISTS (SELECT FROM pg_catalog.pg_stat_activity a
                                 WHERE a.pid = pg_catalog.pg_backend_pid()
                                   AND a.backend_type = 'client backend') THEN
          RAISE;
        END IF;
        cancelled := true;
    END;
  END LOOP;
END
$keeper$`;
}
