/**
 * Serves the function on a port of this machine, as the platform would.
 *
 * @module
 */
import { readEnvironment } from "../supabase/functions/backup/config.ts";
import { createDeps } from "../supabase/functions/backup/create_deps.ts";
import { startTicker } from "../supabase/functions/backup/schedule/ticker.ts";
import { copierThreads } from "./host/thread_copier.ts";
import { readerThreads } from "./host/thread_reader.ts";
import { saverThreads } from "./host/thread_saver.ts";
import { createApp } from "../supabase/functions/backup/http/create_app.ts";

/** A served function. */
export interface RunningService {
  /** `http://127.0.0.1:<port>/functions/v1/backup`. */
  url: string;
  /** Stops taking requests, lets running jobs end, closes connections. */
  stop(): Promise<void>;
}

/**
 * Starts it.
 *
 * @param variables the function's environment; the process's own is looked at only with `inherit`
 * @param options `ticker`: goes on by itself with work that waits, as the database's clock would let it;
 * `threads`: so many copy rows, read them and save files @default none, as in a function; `strayGraceSeconds`: see
 * `Deps`
 */
export function startService(
  variables: Record<string, string>,
  options: {
    port?: number;
    inherit?: boolean;
    ticker?: boolean;
    threads?: number;
    strayGraceSeconds?: number;
  } = {},
): RunningService {
  const read = (name: string) => {
    const value = variables[name] ?? (options.inherit ? Deno.env.get(name) : undefined);
    return value === "" ? undefined : value;
  };
  const { ticker: ticks = false, threads = 0, strayGraceSeconds } = options;
  const deps = createDeps({
    ...{ environment: readEnvironment(read), ticks },
    ...(strayGraceSeconds === undefined ? {} : { strayGraceSeconds }),
    ...(threads === 0 ? {} : {
      openSaver: saverThreads(threads),
      openCopier: copierThreads(threads),
      openReader: readerThreads(threads),
    }),
  });
  const app = createApp(deps);
  const ticker = options.ticker ? startTicker(deps) : null;
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: options.port ?? 0, onListen: () => {} },
    app.fetch,
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}/functions/v1/backup`,
    async stop() {
      await server.shutdown();
      await ticker?.stop();
      await deps.idle();
      await deps.state.close();
    },
  };
}
