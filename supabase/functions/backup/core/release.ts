/**
 * Which release this is.
 *
 * @module
 */

/** Written into every backup. */
export const RELEASE = "0.1.0";

/**
 * Which form that has what jobs keep between their parts: steps, payloads, results, marks. It grows by one with
 * every change by which a worker could not go on with a job that code of the other form has worked on. 0 is that
 * of jobs without a number.
 */
export const JOB_FORM = 3;
