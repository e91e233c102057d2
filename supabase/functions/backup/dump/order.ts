/**
 * The order of a restore: sorts the drafts by dependencies, takes loops apart the way pg_dump does,
 * and lets inline drafts vanish into their hosts where no loop forced them out.
 *
 * @module
 */
import type { Section } from "../core/model.ts";
import { type Draft, Drafts, type DumpContext } from "./context.ts";
import type { Dependencies } from "./dependencies.ts";
import { breakLoop } from "./loops.ts";
import { compareDrafts, rankOf, rankOfBoundary } from "./sort_priorities.ts";
import { findLoops, topologicalSort } from "./topological_sort.ts";

/** A draft or a boundary between sections, with its number in the order before dependencies. */
export interface OrderNode {
  key: string;
  number: number;
  /** Where it sorts before names are looked at. */
  rank: number;
  /** Null for the two boundaries. */
  draft: Draft | null;
  /** Whether an inline draft was forced out of its host. */
  separate: boolean;
}

/** The graph that sorting and loop repair work on. */
export interface OrderGraph {
  nodes: OrderNode[];
  byKey: Map<string, OrderNode>;
  needs: Set<number>[];
  preData: OrderNode;
  postData: OrderNode;
}

/** A draft at its place, with the keys of the drafts it needs. */
export interface OrderedDraft {
  key: string;
  draft: Draft;
  dependsOn: string[];
}

/** What sorting asks of the catalog's dependencies. */
export interface NeedsOfDrafts extends Pick<Dependencies, "draftOf"> {
  ofDraft(key: string): Iterable<string>;
}

/** Sorts all drafts. Loops that no rule takes apart are broken anywhere, with a remark. */
export function orderDrafts(context: DumpContext, dependencies: NeedsOfDrafts): OrderedDraft[] {
  const graph = buildGraph(context, dependencies);
  let sorted = topologicalSort(graph.needs);
  while (sorted.left.length > 0) {
    for (const loop of findLoops(graph.needs, sorted.left)) {
      const remark = breakLoop(graph, loop.map((number) => graph.nodes[number]!));
      if (remark !== null) context.remarks.push(remark);
    }
    sorted = topologicalSort(graph.needs);
  }
  return writeOut(graph, sorted.order);
}

function buildGraph(context: DumpContext, dependencies: NeedsOfDrafts): OrderGraph {
  const preData = boundaryAfter("pre-data");
  const postData = boundaryAfter("data");
  const nodes = [preData, postData];
  const byKey = new Map<string, OrderNode>();
  for (const [key, draft] of context.drafts.entries()) {
    const node = { key, number: 0, rank: rankOf(draft), draft, separate: false };
    nodes.push(node);
    byKey.set(key, node);
  }
  nodes.sort(compareNodes);
  nodes.forEach((node, number) => node.number = number);

  const needs = nodes.map(() => new Set<number>());
  const graph = { nodes, byKey, needs, preData, postData };
  for (const node of nodes) addNeeds(graph, node, dependencies);
  needs[postData.number]!.add(preData.number);
  return graph;
}

function boundaryAfter(section: Section): OrderNode {
  const rank = rankOfBoundary(section);
  return { key: `boundary:${section}`, number: 0, rank, draft: null, separate: false };
}

function compareNodes(a: OrderNode, b: OrderNode): number {
  return a.rank - b.rank || compareDrafts(a.draft!, b.draft!);
}

function addNeeds(graph: OrderGraph, node: OrderNode, dependencies: NeedsOfDrafts): void {
  const draft = node.draft;
  if (draft === null) return;
  const needs = graph.needs[node.number]!;
  const need = (key: string) => {
    const needed = graph.byKey.get(key);
    if (needed !== undefined && needed !== node) needs.add(needed.number);
  };
  // What has no draft, such as an extension's table, stands for what it depends on itself.
  const needObject = (key: string) => {
    const held = graph.byKey.has(key) ? key : dependencies.draftOf(key);
    if (held !== undefined) need(held);
    else for (const other of dependencies.ofDraft(key)) need(other);
  };
  if (draft.part === null) { for (const key of dependencies.ofDraft(node.key)) need(key); }
  else if (draft.part !== "shell") needObject(Drafts.key(draft.catalog, draft.oid));
  for (const key of draft.dependsOn) needObject(key);

  const host = draft.inlineIn === undefined ? undefined : graph.byKey.get(draft.inlineIn);
  if (host !== undefined) {
    // What stands in its host does not wait for it, unless a loop takes it out.
    needs.delete(host.number);
    graph.needs[host.number]!.add(node.number);
    return;
  }
  if (draft.section === "pre-data") graph.needs[graph.preData.number]!.add(node.number);
  if (draft.section === "data") {
    needs.add(graph.preData.number);
    graph.needs[graph.postData.number]!.add(node.number);
  }
  if (draft.section === "post-data") needs.add(graph.postData.number);
}

/** Drafts in their final order and form. */
function writeOut(graph: OrderGraph, order: number[]): OrderedDraft[] {
  settleInline(graph);
  const standsIn = graph.nodes.map(({ draft, separate }) =>
    draft?.inlineIn === undefined || separate ? undefined : graph.byKey.get(draft.inlineIn)
  );
  const places = new Int32Array(order.length);
  order.forEach((number, place) => places[number] = place);
  const ordered: OrderedDraft[] = [];
  for (const number of order) {
    const { key, draft } = graph.nodes[number]!;
    if (draft === null || standsIn[number] !== undefined) continue;
    // A shell type that no function asks for would be a statement without a use.
    if (draft.part === "shell" && !isNeeded(graph, number)) continue;
    const needs = collectNeeds(graph, number, standsIn);
    const before = needs.filter((need) => places[need]! < places[number]!);
    ordered.push({ key, draft, dependsOn: before.map((need) => graph.nodes[need]!.key).sort() });
  }
  return ordered;
}

function isNeeded(graph: OrderGraph, number: number): boolean {
  return graph.needs.some((needs, from) => needs.has(number) && graph.nodes[from]!.draft !== null);
}

/** Tells every host which of its inline drafts stand alone now. */
function settleInline(graph: OrderGraph): void {
  const separate = new Map<string, Set<string>>();
  for (const { draft, key, separate: isSeparate } of graph.nodes) {
    if (draft?.inlineIn === undefined || !isSeparate) continue;
    const keys = separate.get(draft.inlineIn) ?? new Set();
    separate.set(draft.inlineIn, keys.add(key));
  }
  for (const [host, keys] of separate) {
    const draft = graph.byKey.get(host)?.draft;
    if (draft?.withoutInline !== undefined) Object.assign(draft, draft.withoutInline(keys));
  }
}

/** What an entry needs: itself and through what stands in it; hosts for what stands in them. */
function collectNeeds(
  graph: OrderGraph,
  number: number,
  standsIn: readonly (OrderNode | undefined)[],
): number[] {
  const collected: number[] = [];
  const visit = (from: number) => {
    for (const need of graph.needs[from]!) {
      if (graph.nodes[need]!.draft === null) continue;
      const host = standsIn[need]?.number ?? need;
      if (host !== number) {
        if (!collected.includes(host)) collected.push(host);
      } else if (need !== number) visit(need);
    }
  };
  visit(number);
  return collected;
}
