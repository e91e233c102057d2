/**
 * Text from elsewhere, made harmless for where it is shown.
 *
 * @module
 */

/** For Slack's mrkdwn: neither links nor mentions come of it. */
export function escapeSlack(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** For HTML, in text and in attributes. */
export function escapeHtml(text: string): string {
  return escapeSlack(text).replaceAll('"', "&quot;").replaceAll("'", "&#39;");
}
