/**
 * The HTTP side: finds the action, checks who asks and what for, runs it, wraps the answer.
 *
 * @module
 */
import { Hono } from "hono";
import type { Action } from "../actions/action.ts";
import { BackupError, toBackupError } from "../core/errors.ts";
import { randomId } from "../core/ids.ts";
import type { Deps } from "../usecases/deps.ts";
import { legacyKeyCheck } from "../usecases/mend/legacy_key.ts";
import { upgradeTables } from "../usecases/service/upgrade_tables.ts";
import { authenticate, requireAdmin, SCHEDULER } from "./authenticate.ts";
import { errorBody, statusOf } from "./handle_error.ts";
import { readInput } from "./read_input.ts";

/** The hosted gateway cuts `/functions/v1` off; a local server may not. */
const PATHS = ["/backup", "/functions/v1/backup"];

/** Actions that see to the tables themselves. */
const MINDS_TABLES = ["init", "uninstall"];

/** The application over its dependencies. */
export function createApp(deps: Deps): Hono {
  const app = new Hono();
  const legacyKeyAllowed = legacyKeyCheck(deps);
  for (const path of PATHS) {
    app.all(path, (context) => serve(deps, context.req.raw, { legacyKeyAllowed }));
    app.all(`${path}/`, (context) => serve(deps, context.req.raw, { legacyKeyAllowed }));
  }
  app.notFound((context) => {
    const error = new BackupError("not_found", "Cannot serve this path", {
      hint: `The service is at ${PATHS[1]}?action=<name>.`,
    });
    return respond(newRequestId(context.req.raw), error);
  });
  return app;
}

async function serve(
  deps: Deps,
  request: Request,
  keys: Omit<Parameters<typeof authenticate>[2], "now">,
): Promise<Response> {
  const requestId = newRequestId(request);
  using _working = deps.budget.enter();
  deps.budget.arrived();
  try {
    // The key comes first: a stranger learns nothing, not even which actions there are.
    const caller = await authenticate(request.headers, deps.environment, {
      ...keys,
      now: deps.clock.now(),
    });
    if (caller === SCHEDULER) requireTick(request);
    const action = await findAction(request);
    const { fields, waitSeconds } = await readInput(request, action);
    if (action.needsAdmin(fields)) await requireAdmin(request.headers, deps.environment);
    if (!MINDS_TABLES.includes(action.name)) await upgradeTables(deps, { name: caller, requestId });
    const data = await action.run(deps, fields, { name: caller, requestId });
    const { status, data: settled, error } = await action.settle(deps, data, waitSeconds);
    return envelope(
      requestId,
      status,
      status >= 500 ? { success: false, error, data: settled } : { success: true, data: settled },
    );
  } catch (thrown) {
    const error = toBackupError(thrown);
    if (error.code === "internal") deps.reportError(error, `request ${requestId}`);
    return respond(requestId, error);
  }
}

/** The scheduler's key is where others may read it. @throws `forbidden` */
function requireTick(request: Request): void {
  if (new URL(request.url).searchParams.get("action") === "tick") return;
  throw new BackupError("forbidden", "Cannot serve this: the scheduler's key opens only tick", {
    hint: "Use a secret key of the project.",
  });
}

/** The menu is loaded for those who may read it: a start, and a stranger, cost less. */
async function findAction(request: Request): Promise<Action> {
  const { ACTIONS } = await import("../actions/mod.ts");
  const name = new URL(request.url).searchParams.get("action") ?? "";
  const action = ACTIONS.find((one) => one.name === name);
  if (!action) {
    throw new BackupError(
      "unknown_action",
      name === "" ? "Cannot serve this: no action is named" : "Cannot serve this: no such action",
      {
        hint: "Name one in the query: ?action=status.",
        details: {
          actions: ACTIONS.map(({ name, method, summary }) => ({ name, method, summary })),
        },
      },
    );
  }
  if (request.method !== action.method) {
    throw new BackupError(
      "method_not_allowed",
      `Cannot ${request.method} ${name}: use ${action.method}`,
      {
        details: { allow: [action.method] },
      },
    );
  }
  return action;
}

function respond(requestId: string, error: BackupError): Response {
  const headers: Record<string, string> = {};
  if (error.code === "method_not_allowed") {
    headers.allow = (error.details?.allow as string[]).join(", ");
  }
  if (error.code === "unauthorized") headers["www-authenticate"] = "Bearer";
  return envelope(
    requestId,
    statusOf(error),
    { success: false, error: errorBody(error, requestId) },
    headers,
  );
}

function envelope(
  requestId: string,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: {
      "content-type": "application/json; charset=utf-8",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "x-request-id": requestId,
      ...headers,
    },
  });
}

/** The caller's id when it is harmless to repeat, else a new one. */
function newRequestId(request: Request): string {
  const given = request.headers.get("x-request-id") ?? "";
  return /^[A-Za-z0-9._-]{1,100}$/.test(given) ? given : `req_${randomId(16)}`;
}
