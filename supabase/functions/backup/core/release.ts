/**
 * Which release this is.
 *
 * @module
 */

/** Written into every backup. */
export const RELEASE = "0.1.0";
