BASE={{.Base}}
CLIENT_ID=demo
CLIENT_SECRET={{or .Secret "${CLIENT_SECRET-}"}}
ALICE_ACCESS={{.Access}}
ALICE_REFRESH={{.Refresh}}
export BASE CLIENT_ID CLIENT_SECRET ALICE_ACCESS ALICE_REFRESH

sh <<'END'
# From here to END runs in a shell of its own: what goes wrong ends that one and leaves yours open.

# The secret is shown when it is made, and never again.
if [ -z "$CLIENT_SECRET" ]; then
  echo 'Set CLIENT_SECRET to what the first start printed, or start the server with -new-secret.' >&2
  exit 1
fi
export no_proxy='*' # the server is on this machine

# expect STATUS TEXT curl ... runs curl, shows what came, and stops unless that is as expected.
expect() {
  want=$1 text=$2
  shift 3
  answer=$(curl -q "$@" -sS -m 20 -w '\nHTTP %{http_code}')
  printf '\n$ curl %s\n%s\n' "$*" "$answer"
  case $answer in
    *"$text"*"HTTP $want") ;;
    *) printf '\nNOT AS EXPECTED: it should have been %s %s\n' "$want" "$text" >&2; exit 1 ;;
  esac
}

# member NAME is a string in the JSON that came last.
member() {
  printf '%s\n' "$answer" | sed -n 's/.*"'"$1"'"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/\1/p'
}

# The client gets a token of its own: 200, with an access token that lives 15 minutes.
expect 200 '"expires_in":900' \
  curl "$BASE/oauth/token" -u "$CLIENT_ID:$CLIENT_SECRET" -d grant_type=client_credentials -d scope=orders:read
READ=$(member access_token)

# Alice has given the client a pair of tokens. It refreshes them: 200, with a new pair. This spends the
# refresh token, so the whole block works once; each start of the server gives her another pair.
expect 200 '"refresh_token":' \
  curl "$BASE/oauth/token" -u "$CLIENT_ID:$CLIENT_SECRET" -d grant_type=refresh_token -d refresh_token="$ALICE_REFRESH"
ALICE_ACCESS_2=$(member access_token)
ALICE_REFRESH_2=$(member refresh_token)

# It calls the route for itself: 200, with no user.
expect 200 '"user":""' \
  curl "$BASE/orders" -H "Authorization: Bearer $READ"

# It calls the route for Alice, with the first access token and with the second: 200.
expect 200 '"user":"alice"' \
  curl "$BASE/orders" -H "Authorization: Bearer $ALICE_ACCESS"
expect 200 '"user":"alice"' \
  curl "$BASE/orders" -H "Authorization: Bearer $ALICE_ACCESS_2"

# Without a token: 401, with a challenge in the header.
expect 401 'Bearer realm="api"' \
  curl -i "$BASE/orders"

# With too small a scope: the client may have a token that only writes, 200, but the route reads: 403.
expect 200 '"scope":"orders:write"' \
  curl "$BASE/oauth/token" -u "$CLIENT_ID:$CLIENT_SECRET" -d grant_type=client_credentials -d scope=orders:write
WRITE=$(member access_token)
expect 403 insufficient_scope \
  curl "$BASE/orders" -H "Authorization: Bearer $WRITE"

# It revokes its own token: 200, and from now on that is refused: 401.
expect 200 '' \
  curl "$BASE/oauth/revoke" -u "$CLIENT_ID:$CLIENT_SECRET" -d token="$READ"
expect 401 invalid_token \
  curl "$BASE/orders" -H "Authorization: Bearer $READ"

# It revokes the new refresh token: 200. That ends all that Alice has given: both access tokens are
# refused, 401, and there is nothing left to refresh, 400.
expect 200 '' \
  curl "$BASE/oauth/revoke" -u "$CLIENT_ID:$CLIENT_SECRET" -d token="$ALICE_REFRESH_2"
expect 401 invalid_token \
  curl "$BASE/orders" -H "Authorization: Bearer $ALICE_ACCESS"
expect 401 invalid_token \
  curl "$BASE/orders" -H "Authorization: Bearer $ALICE_ACCESS_2"
expect 400 invalid_grant \
  curl "$BASE/oauth/token" -u "$CLIENT_ID:$CLIENT_SECRET" -d grant_type=refresh_token -d refresh_token="$ALICE_REFRESH_2"

printf '\nAll as expected.\n'
END
