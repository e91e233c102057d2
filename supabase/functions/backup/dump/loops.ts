/**
 * How dependency loops are taken apart; the cases and their order are pg_dump's.
 *
 * @module
 */
import { Drafts } from "./context.ts";
import type { OrderGraph, OrderNode } from "./order.ts";

/**
 * Removes what closes a loop, in which every node needs the next and the last the first.
 *
 * @returns a remark when no rule fits and the loop was broken at an arbitrary place
 */
export function breakLoop(graph: OrderGraph, loop: readonly OrderNode[]): string | null {
  if (breakTypeAndFunction(graph, loop)) return null;
  if (takePartOut(graph, loop, ["view"])) return null;
  if (postpone(graph, loop, "materialized-view")) return null;
  if (postpone(graph, loop, "function")) return null;
  if (takePartOut(graph, loop, [])) return null;

  const first = loop[0]!;
  const second = loop[1] ?? first;
  graph.needs.delete(first.number, second.number);
  // A table in a loop with itself, and rows that refer to each other in a circle, need no word: the
  // restore loads rows before it makes foreign keys.
  if (loop.length === 1 || loop.every((node) => node.draft?.kind === "table-data")) return null;
  const names = loop.flatMap((node) => node.draft?.address ?? []).join(", ");
  return `These objects depend on each other in a circle that no rule takes apart: ${names}`;
}

/** A type and one of its own functions: the function makes do with the shell type. */
function breakTypeAndFunction(graph: OrderGraph, loop: readonly OrderNode[]): boolean {
  if (loop.length !== 2) return false;
  const type = loop.find((node) => node.draft?.kind === "type");
  const routine = loop.find((node) =>
    node.draft?.kind === "function" || node.draft?.kind === "aggregate"
  );
  if (type?.draft == null || routine === undefined) return false;
  graph.needs.delete(routine.number, type.number);
  const shell = graph.byKey(Drafts.key(type.draft.catalog, type.draft.oid, "shell"));
  if (shell !== undefined) graph.needs.add(routine.number, shell.number);
  return true;
}

/** A host, a part of it and others: the part becomes an entry of its own, behind its host. */
function takePartOut(
  graph: OrderGraph,
  loop: readonly OrderNode[],
  kinds: readonly string[],
): boolean {
  if (loop.length < 3) return false;
  const pair = findHostAndPart(graph, { loop, kinds });
  if (pair === null) return false;
  const { host, part } = pair;
  graph.needs.delete(host.number, part.number);
  graph.needs.add(part.number, host.number);
  part.separate = true;
  // No constraint can be added to a domain once a table holds arrays of it: it comes before tables.
  if (part.draft!.kind === "domain-constraint") part.draft!.section = "pre-data";
  const section = part.draft!.section;
  if (section === "post-data") graph.needs.add(part.number, graph.postData.number);
  else if (section === "pre-data") graph.needs.add(graph.preData.number, part.number);
  return true;
}

/** Checks come before defaults, as pg_dump tries them. */
const PART_KINDS = ["rule", "check-constraint", "constraint", "default", "domain-constraint"];

function findHostAndPart(
  graph: OrderGraph,
  { loop, kinds }: { loop: readonly OrderNode[]; kinds: readonly string[] },
): { host: OrderNode; part: OrderNode } | null {
  const parts = loop.filter((node) => node.draft?.inlineIn !== undefined && !node.separate);
  const rank = (node: OrderNode) => PART_KINDS.indexOf(node.draft!.kind);
  for (const part of parts.sort((a, b) => rank(a) - rank(b))) {
    const host = graph.byKey(part.draft!.inlineIn!);
    if (host?.draft == null || !loop.includes(host)) continue;
    if (kinds.length === 0 || kinds.includes(host.draft.kind)) return { host, part };
  }
  return null;
}

/** A materialized view or function that needs something made after the data goes there itself. */
function postpone(graph: OrderGraph, loop: readonly OrderNode[], kind: string): boolean {
  if (loop.length < 3 || !loop.some((node) => node.draft?.kind === kind)) return false;
  const at = loop.indexOf(graph.preData);
  if (at < 0) return false;
  const next = loop[(at + 1) % loop.length]!;
  graph.needs.delete(graph.preData.number, next.number);
  if (next.draft?.kind === kind) next.draft.section = "post-data";
  return true;
}
