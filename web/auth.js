// Sign-in by Cognito's hosted pages: authorization code with PKCE (RFC 7636). Without a sign-in in the
// configuration nothing here does anything. Tokens live in this tab's session storage and end with the tab.

const STORE = "darkroom.tokens";
const PENDING = "darkroom.sign-in";
const EARLY_S = 60;

let settings = null;
let renewing = null;

const here = () => new URL(".", document.baseURI).href.replace(/[?#].*$/, "");
const encoded = (bytes) => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const random = () => encoded(crypto.getRandomValues(new Uint8Array(32)));
const stored = () => JSON.parse(sessionStorage.getItem(STORE) || "null");

/** Take up the configuration, and finish a sign-in that comes back. Returns whether somebody must sign in. */
export async function begin(configuration) {
  settings = configuration;
  if (!settings) return false;
  const back = new URLSearchParams(location.search);
  if (back.has("code") || back.has("error")) await comeBack(back);
  return !stored();
}

/** Whether people sign in here at all. */
export const signsIn = () => settings !== null;

/** Who is signed in, as the id token says. */
export function person() {
  const tokens = stored();
  if (!tokens) return "";
  const bytes = Uint8Array.from(atob(tokens.id.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  const claims = JSON.parse(new TextDecoder().decode(bytes));
  return claims.email || claims["cognito:username"] || "";
}

/** Go to the sign-in page, and come back to this view. */
export async function signIn() {
  const verifier = random();
  const state = random();
  sessionStorage.setItem(PENDING, JSON.stringify({ verifier, state, hash: location.hash }));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier)));
  const query = new URLSearchParams({
    response_type: "code", client_id: settings.client, redirect_uri: here(), scope: "openid email",
    state, code_challenge: encoded(digest), code_challenge_method: "S256",
  });
  location.assign(`${settings.url}/oauth2/authorize?${query}`);
}

/** Forget the tokens, and end the session of the sign-in page. */
export function signOut() {
  sessionStorage.removeItem(STORE);
  const query = new URLSearchParams({ client_id: settings.client, logout_uri: here() });
  location.assign(`${settings.url}/logout?${query}`);
}

/** The token for a call; null where nobody signs in. */
export async function token() {
  const tokens = settings && stored();
  if (!tokens) return null;
  if (tokens.until > Date.now() / 1000 + EARLY_S || await renewed()) return stored().id;
  return null;
}

/** Get new tokens with the refresh token, once for all who ask. Returns whether that worked. */
export function renewed() {
  renewing ??= renew().finally(() => { renewing = null; });
  return renewing;
}

async function renew() {
  const tokens = settings && stored();
  if (!tokens) return false;
  const fresh = await exchange({ grant_type: "refresh_token", refresh_token: tokens.refresh });
  if (fresh) return true;
  sessionStorage.removeItem(STORE);
  dispatchEvent(new Event("signed-out"));
  return false;
}

async function comeBack(back) {
  const pending = JSON.parse(sessionStorage.getItem(PENDING) || "null");
  sessionStorage.removeItem(PENDING);
  history.replaceState(null, "", here() + (pending?.hash || ""));
  if (!pending || back.get("state") !== pending.state || !back.has("code")) return;
  await exchange({
    grant_type: "authorization_code", code: back.get("code"), redirect_uri: here(), code_verifier: pending.verifier,
  });
}

async function exchange(fields) {
  const answer = await fetch(`${settings.url}/oauth2/token`, {
    method: "POST", body: new URLSearchParams({ ...fields, client_id: settings.client }),
  }).catch(() => null);
  if (!answer?.ok) return false;
  const content = await answer.json();
  sessionStorage.setItem(STORE, JSON.stringify({
    id: content.id_token,
    refresh: content.refresh_token || fields.refresh_token,
    until: Date.now() / 1000 + content.expires_in,
  }));
  return true;
}
