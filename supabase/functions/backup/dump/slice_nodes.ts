/**
 * What the order needs to know of a slice's drafts, packed: column by column, with what many of them share said
 * once. That is half the bytes of one line for each, and a third of the time to read them, of which one part has
 * to read all there are.
 *
 * @module
 */
import type { EntryKind, Section } from "../core/model.ts";
import type { Draft } from "./context.ts";

/** What many drafts share; `before` is what their address has before `name"`, null where it ends otherwise. */
type NodeHead = [
  catalog: string,
  part: string | null,
  kind: EntryKind,
  section: Section,
  schema: string | null,
  before: string | null,
];

/** Some drafts in their order, each at the same place of every list but the heads. Survives JSON. */
export interface NodePack {
  heads: NodeHead[];
  /** Indexes of heads. */
  head: number[];
  oid: number[];
  name: string[];
  /** 0 where the head tells it. */
  address: (string | 0)[];
  /** 0 for what stands in no other. */
  inlineIn: (string | 0)[];
  /** Keys, one to a line; 0 for none. Most drafts have none or one. */
  dependsOn: (string | 0)[];
}

/** Drafts to a pack, so that no line is huge. */
const PACK = 2000;

/** Frozen against additions: drafts that were unpacked have no statements. */
const NOTHING = Object.freeze([]) as unknown as string[];

/** Packs them in their order. */
export function packNodes(drafts: readonly Draft[]): NodePack[] {
  const packs: NodePack[] = [];
  for (let from = 0; from < drafts.length; from += PACK) {
    packs.push(packOf(drafts.slice(from, from + PACK)));
  }
  return packs;
}

function packOf(drafts: readonly Draft[]): NodePack {
  const pack: NodePack = {
    ...{ heads: [], head: [], oid: [], name: [], address: [], inlineIn: [], dependsOn: [] },
  };
  const known = new Map<string, number>();
  for (const draft of drafts) {
    const { catalog, oid, part, kind, section, schema, name, address } = draft;
    const before = beforeName(draft);
    const head: NodeHead = [catalog, part, kind, section, schema, before];
    const shared = JSON.stringify(head);
    if (!known.has(shared)) known.set(shared, pack.heads.push(head) - 1);
    pack.head.push(known.get(shared)!);
    pack.oid.push(oid);
    pack.name.push(name);
    pack.address.push(before === null ? address : 0);
    pack.inlineIn.push(draft.inlineIn ?? 0);
    pack.dependsOn.push(draft.dependsOn.join("\n") || 0);
  }
  return pack;
}

/** The drafts of a pack, without their statements and rights. */
export function unpackNodes(pack: NodePack): Draft[] {
  return pack.head.map((_, at) => new UnpackedDraft(pack, at));
}

/** What the drafts of a pack share stays in its heads: one part holds the drafts of all packs at a time. */
class UnpackedDraft implements Draft {
  readonly #head: NodeHead;
  readonly #address: string | 0;
  readonly oid: number;
  readonly name: string;
  /** As the pack has them. */
  readonly #dependsOn: string | 0;
  readonly inlineIn?: string;
  section: Section;

  constructor(pack: NodePack, at: number) {
    this.#head = pack.heads[pack.head[at]!]!;
    this.#address = pack.address[at]!;
    this.oid = pack.oid[at]!;
    this.name = pack.name[at]!;
    this.#dependsOn = pack.dependsOn[at]!;
    this.section = this.#head[3];
    const inlineIn = pack.inlineIn[at];
    if (inlineIn) this.inlineIn = inlineIn;
  }

  get catalog(): string {
    return this.#head[0];
  }
  get part(): string | null {
    return this.#head[1];
  }
  get kind(): EntryKind {
    return this.#head[2];
  }
  get schema(): string | null {
    return this.#head[4];
  }
  get address(): string {
    return this.#address === 0 ? `${this.#head[5]}${this.name}"` : this.#address;
  }
  get dependsOn(): string[] {
    return this.#dependsOn === 0 ? NOTHING : this.#dependsOn.split("\n");
  }
  get create(): string[] {
    return NOTHING;
  }
  get drop(): string[] {
    return NOTHING;
  }
  get owner(): null {
    return null;
  }
  get commentable(): boolean {
    return false;
  }
}

function beforeName({ name, address }: Draft): string | null {
  const end = name + '"';
  return address.endsWith(end) ? address.slice(0, -end.length) : null;
}
