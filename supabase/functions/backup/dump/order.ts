/**
 * The order of a restore: sorts the drafts by dependencies, takes loops apart the way pg_dump does,
 * and lets inline drafts vanish into their hosts where no loop forced them out.
 *
 * @module
 */
import type { Draft, Drafts, DumpContext } from "./context.ts";
import type { Dependencies } from "./dependencies.ts";
import { breakLoop } from "./loops.ts";
import { NeedLists } from "./needs.ts";
import type { ObjectNumbers } from "./object_numbers.ts";
import { compareDrafts, rankOf, rankOfBoundary } from "./sort_priorities.ts";
import { findLoops, topologicalSort } from "./topological_sort.ts";

/** A draft or a boundary between sections, as those who take loops apart look at it. */
export interface OrderNode {
  /** In the order before dependencies. */
  number: number;
  /** Null for the two boundaries. */
  draft: Draft | null;
  /** Whether an inline draft was forced out of its host. */
  separate: boolean;
}

/** Objects that stand for the boundaries. */
const PRE_DATA = -1;
const POST_DATA = -2;

/** The graph that sorting and loop repair work on; of its nodes only those exist that somebody asked for. */
export class OrderGraph {
  readonly needs: NeedLists;
  readonly preData: OrderNode;
  readonly postData: OrderNode;
  readonly #drafts: Drafts;
  /** By node, the draft's number among all objects, or a boundary. */
  readonly #objects: Int32Array;
  /** By object, its node; -1 for those without a draft. */
  readonly #numbers: Int32Array;
  /** By node, that of the host that its draft may stand in; -1 for none. */
  readonly #hosts: Int32Array;
  readonly #nodes = new Map<number, OrderNode>();

  constructor(drafts: Drafts) {
    this.#drafts = drafts;
    this.#objects = sortObjects(drafts);
    this.needs = new NeedLists(this.#objects.length);
    this.#numbers = new Int32Array(drafts.numbers.size).fill(-1);
    this.#objects.forEach((object, number) => {
      if (object >= 0) this.#numbers[object] = number;
    });
    this.#hosts = this.#objects.map((object) => {
      const inlineIn = drafts.at(object)?.inlineIn;
      return inlineIn === undefined ? -1 : this.numberOf(drafts.numbers.ofKey(inlineIn)) ?? -1;
    });
    this.preData = this.node(this.#objects.indexOf(PRE_DATA));
    this.postData = this.node(this.#objects.indexOf(POST_DATA));
  }

  get size(): number {
    return this.#objects.length;
  }

  node(number: number): OrderNode {
    let node = this.#nodes.get(number);
    if (node === undefined) {
      node = { number, draft: this.draft(number), separate: false };
      this.#nodes.set(number, node);
    }
    return node;
  }

  /** The node of a draft by its key. */
  byKey(key: string): OrderNode | undefined {
    const number = this.numberOf(this.#drafts.numbers.ofKey(key));
    return number === undefined ? undefined : this.node(number);
  }

  /** The draft of a node; null for the two boundaries. */
  draft(number: number): Draft | null {
    return this.#drafts.at(this.object(number)) ?? null;
  }

  /** The number of a node's draft among all objects. */
  object(number: number): number {
    return this.#objects[number]!;
  }

  /** The node of an object. */
  numberOf(object: number | undefined): number | undefined {
    const number = object === undefined ? -1 : this.#numbers[object] ?? -1;
    return number < 0 ? undefined : number;
  }

  /** The node of the host that a draft stands in, unless it was forced out of it. */
  hostOf(number: number): number | undefined {
    const host = this.#hosts[number]!;
    return host < 0 || this.#nodes.get(number)?.separate === true ? undefined : host;
  }

  /** Inline drafts that were forced out of their hosts. */
  separate(): OrderNode[] {
    return [...this.#nodes.values()].filter(({ separate }) => separate);
  }
}

/** Drafts and boundaries in the order before dependencies. */
function sortObjects(drafts: Drafts): Int32Array {
  const objects = [PRE_DATA, POST_DATA];
  const ranks = new Uint16Array(drafts.numbers.size);
  for (const [object, draft] of drafts.numbered()) {
    objects.push(object);
    ranks[object] = rankOf(draft);
  }
  const [pre, post] = [rankOfBoundary("pre-data"), rankOfBoundary("data")];
  const rank = (object: number) => object >= 0 ? ranks[object]! : object === PRE_DATA ? pre : post;
  // A plain list: its sort uses that the drafts of each slice are in order, that of a typed one does not.
  objects.sort((a, b) => rank(a) - rank(b) || compareDrafts(drafts.at(a)!, drafts.at(b)!));
  return Int32Array.from(objects);
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
      const remark = breakLoop(graph, loop.map((number) => graph.node(number)));
      if (remark !== null) remarks.push(remark);
    }
    sorted = topologicalSort(graph.needs);
  }
  return writeOut(graph, sorted.order, drafts);
}

function buildGraph(drafts: Drafts, dependencies: NeedsOfDrafts): OrderGraph {
  const graph = new OrderGraph(drafts);
  for (let number = 0; number < graph.size; number++) {
    addNeeds(graph, number, { dependencies, numbers: drafts.numbers });
  }
  graph.needs.add(graph.postData.number, graph.preData.number);
  return graph;
}

function addNeeds(
  graph: OrderGraph,
  number: number,
  { dependencies, numbers }: { dependencies: NeedsOfDrafts; numbers: ObjectNumbers },
): void {
  const draft = graph.draft(number);
  if (draft === null) return;
  const { needs, preData, postData } = graph;
  const host = graph.hostOf(number);
  // What stands in its host does not wait for it, unless a loop takes it out.
  const need = (needed: number) => {
    const node = graph.numberOf(needed)!;
    if (node !== number && node !== host) needs.add(number, node);
  };
  // What has no draft, such as an extension's table, stands for what it depends on itself.
  const needObject = (needed: number | undefined) => {
    if (needed === undefined) return;
    const holder = dependencies.draftOf(needed);
    if (holder !== undefined) need(holder);
    else for (const other of dependencies.ofDraft(needed)) need(other);
  };
  const object = graph.object(number);
  if (draft.part === null) { for (const needed of dependencies.ofDraft(object)) need(needed); }
  else if (draft.part !== "shell") needObject(numbers.find(draft.catalog, draft.oid));
  for (const key of draft.dependsOn) needObject(numbers.ofKey(key));

  if (host !== undefined) {
    needs.add(host, number);
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
  /** By node, that of the host it stands in; -1 for what stands by itself. */
  const standsIn = new Int32Array(graph.size);
  for (let number = 0; number < graph.size; number++) standsIn[number] = graph.hostOf(number) ?? -1;
  const places = new Int32Array(order.length);
  order.forEach((number, place) => places[number] = place);
  const needsOf = needsCollector(graph, standsIn);
  for (const number of order) {
    const draft = graph.draft(number);
    if (draft === null || standsIn[number] !== -1) continue;
    // A shell type that no function asks for would be a statement without a use.
    if (draft.part === "shell" && !isNeeded(graph, number)) continue;
    const before = needsOf(number).filter((need) => places[need]! < places[number]!);
    const needs = before.map((need) => graph.object(need));
    yield { number: graph.object(number), draft, needs };
  }
}

function isNeeded(graph: OrderGraph, number: number): boolean {
  for (let from = 0; from < graph.size; from++) {
    if (graph.needs.has(from, number) && graph.draft(from) !== null) return true;
  }
  return false;
}

/** Tells every host which of its inline drafts stand alone now; all of these, by their numbers. */
function settleInline(graph: OrderGraph, numbers: ObjectNumbers): Set<number> {
  const all = new Set<number>();
  const separate = new Map<string, Set<string>>();
  for (const { draft, number } of graph.separate()) {
    const object = graph.object(number);
    all.add(object);
    const host = draft!.inlineIn!;
    separate.set(host, (separate.get(host) ?? new Set()).add(numbers.keyOf(object)));
  }
  for (const [host, keys] of separate) {
    const draft = graph.byKey(host)?.draft;
    if (draft?.withoutInline !== undefined) Object.assign(draft, draft.withoutInline(keys));
  }
  return all;
}

/** What an entry needs: itself and through what stands in it; hosts for what stands in them. */
function needsCollector(
  graph: OrderGraph,
  standsIn: Int32Array,
): (entry: number) => number[] {
  /** By whom a node was collected last. */
  const collectedBy = new Int32Array(graph.size).fill(-1);
  return (entry) => {
    const collected: number[] = [];
    const collect = (need: number) => {
      if (graph.draft(need) === null) return;
      const host = standsIn[need] === -1 ? need : standsIn[need]!;
      if (host === entry) {
        if (need !== entry) graph.needs.each(need, collect);
      } else if (collectedBy[host] !== entry) {
        collectedBy[host] = entry;
        collected.push(host);
      }
    };
    graph.needs.each(entry, collect);
    return collected;
  };
}
