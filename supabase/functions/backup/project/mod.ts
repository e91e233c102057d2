/**
 * The door of the project around the database.
 *
 * @module
 */
export { listFunctions } from "./function_calls.ts";
export { functionsSource } from "./functions_source.ts";
export type { FunctionsSourceOptions } from "./functions_source.ts";
export { functionsTarget } from "./functions_target.ts";
export type { FunctionsTargetOptions } from "./functions_target.ts";
export { leaveExisting } from "./leave_existing.ts";
export { managementAccess } from "./management_access.ts";
export type { ManagementAccess } from "./management_access.ts";
export { managementApi } from "./management_api.ts";
export type { ManagementApi, ManagementApiOptions } from "./management_api.ts";
export { changeConfigField, findConfigField } from "./change_field.ts";
export type { ConfigField, FieldOutcome } from "./change_field.ts";
export { configSource } from "./config_source.ts";
export type { ConfigSourceOptions } from "./config_source.ts";
export { configTarget } from "./config_target.ts";
export type { ConfigTargetOptions } from "./config_target.ts";
export { filesAccess, openFilesSource, openStorageApi, storageAccess } from "./files_access.ts";
export { DirectFetch } from "./direct_fetch.ts";
export type { FilesAccess } from "./files_access.ts";
export { filesSource } from "./files_source.ts";
export type { FilesSourceOptions } from "./files_source.ts";
export { filesTarget } from "./files_target.ts";
export type { FilesTargetOptions } from "./files_target.ts";
export type { SharedPace } from "./request_pace.ts";
export { s3Source } from "./s3_source.ts";
export type { S3SourceOptions } from "./s3_source.ts";
export { s3SourceSettings } from "./s3_source_settings.ts";
export { HEALTH_NAMES, readServicesHealth, restartDatabase } from "./services_health.ts";
export type { HealthService, ServiceHealth } from "./services_health.ts";
export { StorageApi } from "./storage_api.ts";
export type { StorageApiOptions } from "./storage_request.ts";
export { listApiKeys, listSecrets, readLegacyKeys } from "./read_secrets.ts";
export type { ListedKey, ListedSecret } from "./read_secrets.ts";
export { createNewKey, disableOldKey } from "./rotate_api_key.ts";
export type { KeyRotation } from "./rotate_api_key.ts";
export { disableLegacyKeys, rotateDatabasePassword, setVariable } from "./rotate_secrets.ts";
export type { PasswordPlace, RotationResult } from "./rotate_secrets.ts";
export { secretsSource } from "./secrets_source.ts";
export type { SecretsSourceOptions } from "./secrets_source.ts";
export { secretsTarget } from "./secrets_target.ts";
export type { SecretsTargetOptions } from "./secrets_target.ts";
export { openVaultSeal } from "./vault_seal.ts";
export type { VaultSeal } from "./vault_seal.ts";
