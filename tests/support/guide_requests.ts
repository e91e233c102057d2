/**
 * The example requests of the guide: read from the fixture that holds them as they stand, and sent.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Answer } from "./service.ts";

/** An example of the guide. */
export interface GuideRequest {
  /** The guide's heading above it; two examples may share one. */
  title: string;
  /** What stands in the block. */
  text: string;
  kind: "variables" | "program" | "http" | "shell" | "sql";
}

/** Address of a project in the guide's commands. */
const GUIDE_HOST = "https://your-project.supabase.co";

/** All of them, in the guide's order. */
export async function readGuideRequests(): Promise<GuideRequest[]> {
  const page = await Deno.readTextFile(
    new URL("../fixtures/guide_requests.md", import.meta.url),
  );
  return [...page.matchAll(/^## (.+)\n\n```\w+\n([^]*?)\n```$/gm)].map(([, title, text]) => ({
    title: title!,
    text: text!,
    kind: kindOf(text!),
  }));
}

/** The action that a request names; null for what is no request. */
export function actionsOf({ text }: GuideRequest): string[] {
  return [...text.matchAll(/\?action=([a-z-]+)/g)].map(([, action]) => action!);
}

/** How the fixture's blocks differ. */
function kindOf(text: string): GuideRequest["kind"] {
  if (/^(GET|POST) \//.test(text)) return "http";
  if (/^curl /m.test(text)) return "shell";
  if (/^SELECT /.test(text)) return "sql";
  return /^BACKUP_/m.test(text) ? "variables" : "program";
}

/**
 * Sends it as it stands but for the project's address, and the key where the guide gives none.
 *
 * @param service address of the function, which ends as the guide's do
 * @returns an answer for each request of the block
 */
export async function sendGuideRequest(
  request: GuideRequest,
  { service, key }: { service: string; key: string },
): Promise<Answer[]> {
  const { origin, pathname } = new URL(service);
  assert.equal(pathname, "/functions/v1/backup");
  if (request.kind === "shell") {
    const script = request.text.replaceAll(GUIDE_HOST, origin);
    return await runCurl(script, { SUPABASE_SERVICE_ROLE_KEY: key });
  }
  const [head, body] = request.text.split("\n\n");
  const [start, ...headers] = head!.split("\n");
  const [method, path] = start!.split(" ");
  const response = await fetch(`${origin}${path}`, {
    method: method!,
    headers: [
      ["authorization", `Bearer ${key}`],
      ...headers.map((line) => line.split(": ") as [string, string]),
    ],
    ...(body === undefined ? {} : { body }),
  });
  return [{ status: response.status, headers: response.headers, body: await response.json() }];
}

/** curl is told by its own file of settings to write the status behind each body. */
async function runCurl(script: string, variables: Record<string, string>): Promise<Answer[]> {
  const home = await Deno.makeTempDir({ prefix: "guide-curl-" });
  try {
    await Deno.writeTextFile(
      `${home}/.curlrc`,
      'silent\nshow-error\nwrite-out = "\\n%{http_code} %header{x-request-id}\\n"\n',
    );
    const { code, stdout, stderr } = await new Deno.Command("sh", {
      args: ["-c", script],
      env: { ...variables, CURL_HOME: home },
    }).output();
    const said = new TextDecoder().decode(stdout);
    assert.equal(code, 0, new TextDecoder().decode(stderr) + said);
    return [...said.matchAll(/^(\{.*\})\n(\d{3}) (\S*)$/gm)].map(([, body, status, id]) => ({
      status: Number(status),
      headers: new Headers({ "x-request-id": id! }),
      body: JSON.parse(body!),
    }));
  } finally {
    await Deno.remove(home, { recursive: true });
  }
}

/** Whether the guide's commands can be run here. */
export async function hasCurl(): Promise<boolean> {
  return await new Deno.Command("curl", { args: ["--version"], stdout: "null" }).output()
    .then(({ success }) => success, () => false);
}
