/**
 * The order of a restore: sorts the drafts by dependencies, takes loops apart the way pg_dump does,
 * and lets inline drafts vanish into their hosts where no loop forced them out.
 *
 * @module
 */
import type { Section } from "../core/model.ts";
import type { Draft, Drafts, DumpContext } from "./context.ts";
import type { Dependencies } from "./dependencies.ts";
import { breakLoop } from "./loops.ts";
import { NeedLists } from "./needs.ts";
import type { ObjectNumbers } from "./object_numbers.ts";
import { compareDrafts, rankOf, rankOfBoundary } from "./sort_priorities.ts";
import { findLoops, topologicalSort } from "./topological_sort.ts";

/** A draft or a boundary between sections, with its number in the order before dependencies. */
export interface OrderNode {
  /** Of the draft among all objects; -1 for the two boundaries. */
  object: number;
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
  /** The node of a draft by its key. */
  byKey: (key: string) => OrderNode | undefined;
  needs: NeedLists;
  preData: OrderNode;
  postData: OrderNode;
}

/** A draft at its place; itself and the drafts it needs by the numbers that `Drafts` gave them. */
export interface OrderedDraft {
  number: number;
  draft: Draft;
  needs: number[];
}

/** The order of a restore. */
export interface DraftOrder {
  /** Inline drafts that were taken out of their hosts. */
  separate: ReadonlySet<number>;
  /** Those that are entries, in their order. Each is made when it is asked for: there may be very many. */
  drafts: Iterable<OrderedDraft>;
}

/** What sorting asks of the catalog's dependencies. */
export interface NeedsOfDrafts extends Pick<Dependencies, "draftOf"> {
  ofDraft(draft: number): Iterable<number>;
}

/** Sorts all drafts. Loops that no rule takes apart are broken anywhere, with a remark. */
export function orderDrafts(
  { drafts, remarks }: Pick<DumpContext, "drafts" | "remarks">,
  dependencies: NeedsOfDrafts,
): DraftOrder {
  const graph = buildGraph(drafts, dependencies);
  let sorted = topologicalSort(graph.needs);
  while (sorted.left.length > 0) {
    for (const loop of findLoops(graph.needs, sorted.left)) {
      const remark = breakLoop(graph, loop.map((number) => graph.nodes[number]!));
      if (remark !== null) remarks.push(remark);
    }
    sorted = topologicalSort(graph.needs);
  }
  return writeOut(graph, sorted.order, drafts);
}

function buildGraph(drafts: Drafts, dependencies: NeedsOfDrafts): OrderGraph {
  const preData = boundaryAfter("pre-data");
  const postData = boundaryAfter("data");
  const nodes = [preData, postData];
  for (const [object, draft] of drafts.numbered()) {
    nodes.push({ object, number: 0, rank: rankOf(draft), draft, separate: false });
  }
  nodes.sort(compareNodes);
  const ofObjects = new Int32Array(drafts.numbers.size).fill(-1);
  nodes.forEach((node, number) => {
    node.number = number;
    if (node.draft !== null) ofObjects[node.object] = number;
  });
  const byKey = (key: string) => nodes[ofObjects[drafts.numbers.ofKey(key) ?? -1] ?? -1];
  const needs = new NeedLists(nodes.length);
  const graph = { nodes, byKey, needs, preData, postData };
  for (const node of nodes) addNeeds(graph, node, { dependencies, ofObjects, drafts });
  needs.add(postData.number, preData.number);
  return graph;
}

function boundaryAfter(section: Section): OrderNode {
  const rank = rankOfBoundary(section);
  return { object: -1, number: 0, rank, draft: null, separate: false };
}

function compareNodes(a: OrderNode, b: OrderNode): number {
  return a.rank - b.rank || compareDrafts(a.draft!, b.draft!);
}

function addNeeds(
  graph: OrderGraph,
  { draft, number, object }: OrderNode,
  { dependencies, ofObjects, drafts: { numbers } }: {
    dependencies: NeedsOfDrafts;
    ofObjects: Int32Array;
    drafts: Drafts;
  },
): void {
  if (draft === null) return;
  const { needs, preData, postData } = graph;
  const host = draft.inlineIn === undefined ? undefined : graph.byKey(draft.inlineIn);
  // What stands in its host does not wait for it, unless a loop takes it out.
  const need = (needed: number) => {
    const node = ofObjects[needed]!;
    if (node !== number && node !== host?.number) needs.add(number, node);
  };
  // What has no draft, such as an extension's table, stands for what it depends on itself.
  const needObject = (needed: number | undefined) => {
    if (needed === undefined) return;
    const holder = dependencies.draftOf(needed);
    if (holder !== undefined) need(holder);
    else for (const other of dependencies.ofDraft(needed)) need(other);
  };
  if (draft.part === null) { for (const needed of dependencies.ofDraft(object)) need(needed); }
  else if (draft.part !== "shell") needObject(numbers.find(draft.catalog, draft.oid));
  for (const key of draft.dependsOn) needObject(numbers.ofKey(key));

  if (host !== undefined) {
    needs.add(host.number, number);
    return;
  }
  if (draft.section === "pre-data") needs.add(preData.number, number);
  if (draft.section === "data") {
    needs.add(number, preData.number);
    needs.add(postData.number, number);
  }
  if (draft.section === "post-data") needs.add(number, postData.number);
}

/** Drafts in their final order and form. */
function writeOut(graph: OrderGraph, order: Int32Array, { numbers }: Drafts): DraftOrder {
  const separate = settleInline(graph, numbers);
  return { separate, drafts: { [Symbol.iterator]: () => entriesOf(graph, order) } };
}

function* entriesOf(graph: OrderGraph, order: Int32Array): Generator<OrderedDraft> {
  const { nodes } = graph;
  /** By node, that of the host it stands in; -1 for what stands by itself. */
  const standsIn = Int32Array.from(
    nodes,
    ({ draft, separate }) =>
      draft?.inlineIn === undefined || separate ? -1 : graph.byKey(draft.inlineIn)?.number ?? -1,
  );
  const places = new Int32Array(order.length);
  order.forEach((number, place) => places[number] = place);
  const needsOf = needsCollector(graph, standsIn);
  for (const number of order) {
    const { object, draft } = nodes[number]!;
    if (draft === null || standsIn[number] !== -1) continue;
    // A shell type that no function asks for would be a statement without a use.
    if (draft.part === "shell" && !isNeeded(graph, number)) continue;
    const before = needsOf(number).filter((need) => places[need]! < places[number]!);
    yield { number: object, draft, needs: before.map((need) => nodes[need]!.object) };
  }
}

function isNeeded(graph: OrderGraph, number: number): boolean {
  return graph.nodes.some(({ draft }, from) => draft !== null && graph.needs.has(from, number));
}

/** Tells every host which of its inline drafts stand alone now; all of these, by their numbers. */
function settleInline(graph: OrderGraph, numbers: ObjectNumbers): Set<number> {
  const all = new Set<number>();
  const separate = new Map<string, Set<string>>();
  for (const { draft, object, separate: isSeparate } of graph.nodes) {
    if (draft?.inlineIn === undefined || !isSeparate) continue;
    all.add(object);
    const keys = separate.get(draft.inlineIn) ?? new Set();
    separate.set(draft.inlineIn, keys.add(numbers.keyOf(object)));
  }
  for (const [host, keys] of separate) {
    const draft = graph.byKey(host)?.draft;
    if (draft?.withoutInline !== undefined) Object.assign(draft, draft.withoutInline(keys));
  }
  return all;
}

/** What an entry needs: itself and through what stands in it; hosts for what stands in them. */
function needsCollector(
  { nodes, needs }: OrderGraph,
  standsIn: Int32Array,
): (entry: number) => number[] {
  /** By whom a node was collected last. */
  const collectedBy = new Int32Array(nodes.length).fill(-1);
  return (entry) => {
    const collected: number[] = [];
    const visit = (from: number) => {
      for (const need of needs.of(from)) {
        if (nodes[need]!.draft === null) continue;
        const host = standsIn[need] === -1 ? need : standsIn[need]!;
        if (host === entry) {
          if (need !== entry) visit(need);
        } else if (collectedBy[host] !== entry) {
          collectedBy[host] = entry;
          collected.push(host);
        }
      }
    };
    visit(entry);
    return collected;
  };
}
