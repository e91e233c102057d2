/**
 * A value that cannot be printed by accident.
 *
 * @module
 */

/**
 * Wraps a secret string: logging it, putting it into a template or into JSON shows `***`; only
 * {@linkcode Secret.reveal} gives the value, so every use can be found by searching for that word.
 *
 * @example
 * ```ts
 * const key = new Secret("s3cret");
 * `${key}`;       // "***"
 * key.reveal();   // "s3cret"
 * ```
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The secret itself. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return "***";
  }

  toJSON(): string {
    return "***";
  }

  [Symbol.for("Deno.customInspect")](): string {
    return "Secret(***)";
  }

  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return "Secret(***)";
  }
}
