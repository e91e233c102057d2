/**
 * What a section of a project's settings is: one address of the Management API with fields, how it is
 * written back, and which of its fields may be neither kept nor written.
 *
 * @module
 */
import type { Json } from "../core/part.ts";

/** Values by field. A field is a path of names with dots: `features.s3Protocol`. */
export type FieldValues = { [field: string]: Json };

/** A field that is in the way of being restored by software. */
export interface SecretField {
  /** The field that switches on what needs the secret; it is held back while the target has none. */
  switch?: string;
}

/** How a section is written back. */
export interface SectionWrite {
  method: "PATCH" | "PUT" | "POST";
  /** A template of the API's document. */
  path: string;
  permission: string;
  /**
   * `changed`: only fields that differ are sent, the others stay. `whole`: the request replaces the
   * section, so that a field that the backup lacks falls back to the platform's default.
   */
  form: "changed" | "whole";
  /** Whether the API takes null as a value. A saved null that it does not take is left to the person. */
  nulls: boolean;
  /** The request's body. @default the fields, nested by their paths */
  body?(values: FieldValues): Json;
}

/** A field that a restore would change. */
export interface FieldChange {
  field: string;
  from: Json;
  to: Json;
}

/** See the module. */
export interface ConfigSection {
  /** Key of its item: `auth`. */
  key: string;
  /** For people: `sign-in settings`. */
  title: string;
  path: string;
  permission: string;
  /** Takes the fields out of the answer. @default the answer */
  view?(answer: Json): Json;
  /**
   * Statuses of a refusal that mean "this project has none", each with the reason in words. 402, which
   * means that the plan does not include it, is known for every section.
   */
  absent?: Readonly<Record<number, string>>;
  /** Null: read to be known, not to be written. */
  write: SectionWrite | null;
  /** Fields that are kept and written back. */
  writable: readonly string[];
  /** Secrets, of which the API gives only digests: never written, listed to be supplied by hand. */
  secrets?: Readonly<Record<string, SecretField>>;
  /** Fields that are kept and never written, each with the reason. */
  readOnly?: Readonly<Record<string, string>>;
  /** Secrets that the API gives in the clear, and repetitions of other fields: not kept at all. */
  leftOut?: readonly string[];
  /** Writable fields whose values no plan and no report shows. */
  unshown?: readonly string[];
  /** What is to be done by hand where the section differs and has no way to be written. */
  byHand?: string;
  /** Adapts saved values to the target, such as a disk that can only grow. */
  fit?(saved: FieldValues, current: FieldValues): FieldValues;
  /** What could go wrong, or cannot be undone, with these changes. */
  hazards?(changes: readonly FieldChange[]): string[];
}
