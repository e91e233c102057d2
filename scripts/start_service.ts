/**
 * Serves the function on a port of this machine, as the platform would.
 *
 * @module
 */
import { readEnvironment } from "../supabase/functions/backup/config.ts";
import { createDeps } from "../supabase/functions/backup/create_deps.ts";
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
 */
export function startService(
  variables: Record<string, string>,
  options: { port?: number; inherit?: boolean } = {},
): RunningService {
  const read = (name: string) => {
    const value = variables[name] ?? (options.inherit ? Deno.env.get(name) : undefined);
    return value === "" ? undefined : value;
  };
  const deps = createDeps({ environment: readEnvironment(read) });
  const app = createApp(deps);
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: options.port ?? 0, onListen: () => {} },
    app.fetch,
  );
  return {
    url: `http://127.0.0.1:${server.addr.port}/functions/v1/backup`,
    async stop() {
      await server.shutdown();
      await deps.jobs.idle();
      await deps.state.close();
    },
  };
}
