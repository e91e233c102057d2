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
import { compareDrafts, sectionOf } from "./sort_priorities.ts";
import { findLoops, topologicalSort } from "./topological_sort.ts";

/** A draft or a boundary between sections, with its number in the order before dependencies. */
export interface OrderNode {
  key: string;
  number: number;
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
  draft: Draft;
  dependsOn: string[];
}

/** What sorting asks of the catalog's dependencies. */
export type NeedsOfDrafts = Pick<Dependencies, "ofDraft" | "draftOf">;

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
  const drafts = [...context.drafts.all()].sort(compareDrafts);
  const nodes: OrderNode[] = [];
  const add = (key: string, draft: Draft | null): OrderNode => {
    const node = { key, number: nodes.length, draft, separate: false };
    nodes.push(node);
    return node;
  };
  const addSection = (section: Section) =>
    drafts.filter((draft) => sectionOf(draft) === section).forEach((draft) =>
      add(keyOf(draft), draft)
    );
  addSection("pre-data");
  const preData = add("boundary:pre-data", null);
  addSection("data");
  const postData = add("boundary:post-data", null);
  addSection("post-data");

  const byKey = new Map(nodes.map((node) => [node.key, node]));
  const needs = nodes.map(() => new Set<number>());
  const graph = { nodes, byKey, needs, preData, postData };
  for (const node of nodes) addNeeds(graph, node, dependencies);
  needs[postData.number]!.add(preData.number);
  return graph;
}

function addNeeds(graph: OrderGraph, node: OrderNode, dependencies: NeedsOfDrafts): void {
  const draft = node.draft;
  if (draft === null) return;
  const need = (from: OrderNode, key: string) => {
    const needed = graph.byKey.get(key);
    if (needed !== undefined && needed !== from) graph.needs[from.number]!.add(needed.number);
  };
  // What has no draft, such as an extension's table, stands for what it depends on itself.
  const needObject = (key: string) => {
    const held = graph.byKey.has(key) ? key : dependencies.draftOf(key);
    if (held !== undefined) need(node, held);
    else dependencies.ofDraft(key).forEach((other) => need(node, other));
  };
  if (draft.part === null) dependencies.ofDraft(node.key).forEach((key) => need(node, key));
  else if (draft.part !== "shell") needObject(Drafts.key(draft.catalog, draft.oid));
  for (const key of draft.dependsOn) needObject(key);

  const host = draft.inlineIn === undefined ? undefined : graph.byKey.get(draft.inlineIn);
  if (host !== undefined) {
    graph.needs[host.number]!.add(node.number);
    return;
  }
  if (draft.section === "pre-data") graph.needs[graph.preData.number]!.add(node.number);
  if (draft.section === "data") {
    graph.needs[node.number]!.add(graph.preData.number);
    graph.needs[graph.postData.number]!.add(node.number);
  }
  if (draft.section === "post-data") graph.needs[node.number]!.add(graph.postData.number);
}

/** Drafts in their final order and form. */
function writeOut(graph: OrderGraph, order: number[]): OrderedDraft[] {
  settleInline(graph);
  const standsIn = new Map<string, string>();
  const needed = new Set<string>();
  for (const { draft, key, separate, number } of graph.nodes) {
    if (draft?.inlineIn !== undefined && !separate) standsIn.set(key, draft.inlineIn);
    if (draft === null) continue;
    for (const need of graph.needs[number]!) needed.add(graph.nodes[need]!.key);
  }
  const place = new Map(order.map((number, at) => [graph.nodes[number]!.key, at]));
  const ordered: OrderedDraft[] = [];
  for (const number of order) {
    const node = graph.nodes[number]!;
    if (node.draft === null || standsIn.has(node.key)) continue;
    // A shell type that no function asks for would be a statement without a use.
    if (node.draft.part === "shell" && !needed.has(node.key)) continue;
    const keys = collectNeeds(graph, node, standsIn)
      .filter((key) => place.get(key)! < place.get(node.key)!);
    ordered.push({ draft: node.draft, dependsOn: keys });
  }
  return ordered;
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

/** Keys that an entry needs: its own and those of what stands in it, hosts for what stands in them. */
function collectNeeds(
  graph: OrderGraph,
  node: OrderNode,
  standsIn: ReadonlyMap<string, string>,
): string[] {
  const keys = new Set<string>();
  const visit = (from: OrderNode) => {
    for (const number of graph.needs[from.number]!) {
      const needed = graph.nodes[number]!;
      if (needed.draft === null) continue;
      const host = standsIn.get(needed.key);
      if (host === node.key) visit(needed);
      else if ((host ?? needed.key) !== node.key) keys.add(host ?? needed.key);
    }
  };
  visit(node);
  return [...keys].sort();
}

function keyOf(draft: Draft): string {
  return Drafts.key(draft.catalog, draft.oid, draft.part);
}
