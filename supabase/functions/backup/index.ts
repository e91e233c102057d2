/**
 * The front door of the Edge Function.
 *
 * @module
 */
import { createDeps } from "./create_deps.ts";
import { createApp } from "./http/create_app.ts";

Deno.serve(createApp(createDeps()).fetch);
