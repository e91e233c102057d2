/**
 * The settings of sign-in: 237 fields, a tenth of them secrets of which the API tells only a digest.
 *
 * @module
 */
import type { ConfigSection, FieldChange, SecretField } from "./config_section.ts";

/** Providers of sign-in, each with what it has beside `client_id`, `email_optional`, `enabled`, `secret`. */
const PROVIDERS: Readonly<Record<string, readonly string[]>> = {
  apple: ["additional_client_ids"],
  azure: ["url"],
  bitbucket: [],
  discord: [],
  facebook: [],
  figma: [],
  github: [],
  gitlab: ["url"],
  google: ["additional_client_ids", "skip_nonce_check"],
  kakao: [],
  keycloak: ["url"],
  linkedin_oidc: [],
  notion: [],
  slack: [],
  slack_oidc: [],
  spotify: [],
  twitch: [],
  twitter: [],
  x: [],
  zoom: [],
};

const HOOKS = [
  "after_user_created",
  "before_user_created",
  "custom_access_token",
  "mfa_verification_attempt",
  "password_verification_attempt",
  "send_email",
  "send_sms",
];

const MAILS = [
  "confirmation",
  "email_change",
  "invite",
  "magic_link",
  "reauthentication",
  "recovery",
];

const NOTICES = [
  "email_changed",
  "identity_linked",
  "identity_unlinked",
  "mfa_factor_enrolled",
  "mfa_factor_unenrolled",
  "password_changed",
  "phone_changed",
];

/** Every other field, by what the names begin with. */
const OTHERS: Readonly<Record<string, readonly string[]>> = {
  api_: ["max_request_duration"],
  custom_oauth_: ["enabled"],
  db_: ["max_pool_size", "max_pool_size_unit"],
  disable_: ["signup"],
  external_: [
    "anonymous_users_enabled",
    "email_enabled",
    "phone_enabled",
    "web3_ethereum_enabled",
    "web3_solana_enabled",
    "workos_client_id",
    "workos_enabled",
    "workos_url",
  ],
  jwt_: ["exp"],
  mailer_: [
    "allow_unverified_email_sign_ins",
    "autoconfirm",
    "otp_exp",
    "otp_length",
    "secure_email_change_enabled",
  ],
  mfa_: [
    "max_enrolled_factors",
    "phone_enroll_enabled",
    "phone_max_frequency",
    "phone_otp_length",
    "phone_template",
    "phone_verify_enabled",
    "totp_enroll_enabled",
    "totp_verify_enabled",
    "web_authn_enroll_enabled",
    "web_authn_verify_enabled",
  ],
  nimbus_oauth_: ["client_id"],
  oauth_server_: ["allow_dynamic_registration", "authorization_path", "enabled"],
  passkey_: ["enabled"],
  password_: ["hibp_enabled", "min_length", "required_characters"],
  rate_limit_: [
    "anonymous_users",
    "email_sent",
    "otp",
    "sms_sent",
    "token_refresh",
    "verify",
    "web3",
  ],
  refresh_token_: ["rotation_enabled"],
  saml_: ["enabled", "external_url"],
  security_: [
    "captcha_enabled",
    "captcha_provider",
    "manual_linking_enabled",
    "refresh_token_reuse_interval",
    "sb_forwarded_for_enabled",
    "update_password_require_reauthentication",
  ],
  sessions_: ["inactivity_timeout", "single_per_user", "tags", "timebox"],
  site_: ["url"],
  sms_: [
    "autoconfirm",
    "max_frequency",
    "messagebird_originator",
    "otp_exp",
    "otp_length",
    "provider",
    "template",
    "test_otp",
    "test_otp_valid_until",
    "textlocal_sender",
    "twilio_account_sid",
    "twilio_content_sid",
    "twilio_message_service_sid",
    "twilio_verify_account_sid",
    "twilio_verify_message_service_sid",
    "vonage_api_key",
    "vonage_from",
  ],
  smtp_: ["admin_email", "host", "max_frequency", "port", "sender_name", "user"],
  uri_: ["allow_list"],
  webauthn_: ["rp_display_name", "rp_id", "rp_origins"],
};

function writable(): string[] {
  const of = (begin: string, ends: readonly string[]) => ends.map((end) => `${begin}${end}`);
  return [
    ...Object.entries(PROVIDERS).flatMap(([name, more]) =>
      of(`external_${name}_`, ["client_id", "email_optional", "enabled", ...more])
    ),
    ...HOOKS.flatMap((name) => of(`hook_${name}_`, ["enabled", "uri"])),
    ...MAILS.flatMap((name) => [`mailer_subjects_${name}`, `mailer_templates_${name}_content`]),
    ...NOTICES.flatMap((name) => [
      `mailer_notifications_${name}_enabled`,
      `mailer_subjects_${name}_notification`,
      `mailer_templates_${name}_notification_content`,
    ]),
    ...Object.entries(OTHERS).flatMap(([begin, ends]) => of(begin, ends)),
  ].sort();
}

function secrets(): Record<string, SecretField> {
  const found: Record<string, SecretField> = {};
  for (const name of [...Object.keys(PROVIDERS), "workos"]) {
    found[`external_${name}_secret`] = { switch: `external_${name}_enabled` };
  }
  for (const name of HOOKS) found[`hook_${name}_secrets`] = { switch: `hook_${name}_enabled` };
  return {
    ...found,
    nimbus_oauth_client_secret: {},
    security_captcha_secret: { switch: "security_captcha_enabled" },
    sms_messagebird_access_key: {},
    sms_textlocal_api_key: {},
    sms_twilio_auth_token: {},
    sms_twilio_verify_auth_token: {},
    sms_vonage_api_secret: {},
    smtp_pass: { switch: "smtp_host" },
  };
}

function hazards(changes: readonly FieldChange[]): string[] {
  const changed = (field: string) => changes.find((change) => change.field === field);
  const found: string[] = [];
  if (changed("webauthn_rp_id")) {
    found.push("webauthn_rp_id: passkeys that were registered under the present one stop working");
  }
  if (changed("disable_signup")?.to === true) found.push("disable_signup: nobody can sign up");
  if (changed("external_email_enabled")?.to === false) {
    found.push("external_email_enabled: sign-in by email is switched off");
  }
  return found;
}

/** See the module. */
export const AUTH_SECTION: ConfigSection = {
  key: "auth",
  title: "sign-in settings",
  path: "/v1/projects/{ref}/config/auth",
  permission: "auth_config_read",
  write: {
    method: "PATCH",
    path: "/v1/projects/{ref}/config/auth",
    permission: "auth_config_write and project_admin_write",
    form: "changed",
    nulls: true,
  },
  writable: writable(),
  secrets: secrets(),
  readOnly: {
    custom_oauth_max_providers: "the plan sets it",
    nimbus_oauth_email_optional: "the API only tells it",
    saml_allow_encrypted_assertions: "the API only tells it",
  },
  unshown: ["sms_test_otp"],
  hazards,
};
