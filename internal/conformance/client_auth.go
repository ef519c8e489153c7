package conformance

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/models"

	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/storage"
)

const (
	oddID     = "o:d d+%"
	oddSecret = "s:e c+r%e&t="
)

// C. Client authentication.
var clientRows = []row{
	{"C-01", each(testCase{foreign: true}, map[string]proof{
		"Basic": {client: "web", headers: [][2]string{as("web")}},
		"post":  {client: "web", params: []string{"client_id", "web", "client_secret", "web-secret"}},
	}, accepted)},
	{"C-02", each(testCase{foreign: true}, credentials, func(t *testing.T, s *server, by func(id, secret string) proof) {
		for _, wrong := range []string{"wrong-secret", "web-secre", "web-secret+", "WEB-SECRET", "two-secret", string(fixture("web").Secret)} {
			refusedAs((*answer).e401)(t, s, by("web", wrong))
		}
	})},
	{"C-03", append(each(testCase{foreign: true}, map[string]proof{
		"Basic":     credentials["Basic"]("nobody", "web-secret"),
		"post":      credentials["post"]("nobody", "web-secret"),
		"client_id": {params: []string{"client_id", "nobody"}},
	}, func(t *testing.T, s *server, p proof) {
		s.unchanged(t, func() {
			for _, path := range s.endpoints() {
				request := refreshment("x", "token", "x")
				unknown := s.prove(t, path, p, request...).e401(t)
				wrong := s.prove(t, path, credentials["post"]("web", "wrong-secret"), request...).e401(t)
				unknown.header.Del("Date")
				wrong.header.Del("Date")
				if unknown.String() != wrong.String() {
					t.Errorf("an unknown client is told from a wrong secret:\n%s\n%s", unknown, wrong)
				}
			}
		})
	}), append(renamed("that is a nil pointer", each(testCase{foreign: true}, map[string]oauth2.ClientInfo{
		"client of ours": (*storage.Client)(nil), "client of theirs": (*models.Client)(nil), "client": nil,
	}, func(t *testing.T, s *server, none oauth2.ClientInfo) {
		s.useTable(func(string) (oauth2.ClientInfo, error) { return none, nil })
		for _, by := range credentials {
			for _, secret := range []string{"", "web-secret"} {
				s.prove(t, "/token", by("web", secret), refreshment("x")...).e401(t)
				s.prove(t, "/revoke", by("web", secret), "token", "x").e401(t)
				if s.ours != nil {
					s.prove(t, "/introspect", by("web", secret), "token", "x").e401(t)
				}
			}
		}
	})), testCase{name: "same work", run: func(t *testing.T, s *server) {
		c := fixture("web")
		c.Secret = storage.Secret("pbkdf2:50000:AAAAAAAAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA") // slow, but not as slow as Hash
		s.putClient(t, c)
		took := func(id string) time.Duration {
			start := time.Now()
			s.token(t, form(refreshment("x")...), basic(id, "wrong-secret")).e401(t)
			return time.Since(start)
		}
		known, unknown := time.Hour, time.Duration(0)
		for range 3 {
			known, unknown = min(known, took("web")), max(unknown, took("nobody"))
		}
		if unknown < known/2 {
			t.Errorf("a wrong secret took %v, an unknown client %v", known, unknown)
		}
	}})...)},
	{"C-04", each(testCase{foreign: true}, map[string]proof{
		"client_id":    {client: "web", params: []string{"client_id", "web"}},
		"empty secret": {client: "web", params: []string{"client_id", "web", "client_secret", ""}},
		"Basic":        {client: "web", headers: [][2]string{basic("web", "")}},
	}, refusedAs((*answer).e401))},
	{"C-05", each(testCase{foreign: true}, map[string]proof{
		"nothing":         {client: "web"},
		"empty client_id": {client: "web", params: []string{"client_id", ""}},
		"secret alone":    {client: "web", params: []string{"client_secret", "web-secret"}},
		"public":          {client: "spa"},
	}, refusedAs((*answer).e401))},
	{"C-06", each(testCase{foreign: true}, map[string]proof{
		"client_id": {client: "spa", params: []string{"client_id", "spa"}},
		"Basic":     {client: "spa", headers: [][2]string{basic("spa", "")}},
	}, accepted)},
	{"C-07", each(testCase{foreign: true}, credentials, func(t *testing.T, s *server, by func(id, secret string) proof) {
		refusedAs((*answer).e401)(t, s, by("spa", "x"))
	})},
	{"C-08", each(testCase{foreign: true}, map[string][2]string{
		"equal": {"web-secret", "web-secret"}, "body wrong": {"web-secret", "wrong-secret"},
		"Basic wrong": {"wrong-secret", "web-secret"}, "both wrong": {"wrong-secret", "wrong-secret"},
	}, func(t *testing.T, s *server, secrets [2]string) {
		for _, params := range [][]string{{"client_id", "web"}, nil} {
			refusedAs(invalid)(t, s, proof{
				client: "web", params: append(params, "client_secret", secrets[1]), headers: [][2]string{basic("web", secrets[0])}, unasked: true,
			})
		}
	})},
	{"C-09", []testCase{
		{name: "same", foreign: true, run: func(t *testing.T, s *server) {
			accepted(t, s, proof{client: "web", params: []string{"client_id", "web"}, headers: [][2]string{as("web")}})
		}},
		{name: "other", foreign: true, run: func(t *testing.T, s *server) {
			refusedAs(invalid)(t, s, proof{client: "web", params: []string{"client_id", "spa"}, headers: [][2]string{as("web")}})
		}},
	}},
	{"C-10", append(each(testCase{foreign: true}, map[string]proof{
		"alone":          {client: "web", params: assertion},
		"with client_id": {client: "web", params: append([]string{"client_id", "web"}, assertion...)},
		"public":         {client: "spa", params: append([]string{"client_id", "spa"}, assertion...)},
		"without type":   {client: "spa", params: append([]string{"client_id", "spa"}, assertion[:2]...)},
		"type alone":     {client: "spa", params: append([]string{"client_id", "spa"}, assertion[2:]...)},
	}, refusedAs((*answer).e401)), each(testCase{foreign: true}, map[string]proof{
		"with Basic":  {client: "web", params: assertion, headers: [][2]string{as("web")}},
		"with secret": {client: "web", params: append([]string{"client_id", "web", "client_secret", "web-secret"}, assertion...)},
	}, refusedAs(invalid))...)},
	{"C-11", each(testCase{foreign: true}, map[string]proof{
		"lower case": {client: "web", headers: authorization("basic " + base64Of("web:web-secret"))},
		"upper case": {client: "web", headers: authorization("BASIC " + base64Of("web:web-secret"))},
		"two spaces": {client: "web", headers: authorization("Basic  " + base64Of("web:web-secret"))},
	}, accepted)},
	{"C-12", append(each(testCase{foreign: true}, map[string]proof{
		"scheme alone":    {client: "web", headers: authorization("Basic")},
		"tab":             {client: "web", headers: authorization("Basic\t" + base64Of("web:web-secret"))},
		"tab and space":   {client: "web", headers: authorization("Basic\t " + base64Of("web:web-secret"))},
		"junk in between": {client: "web", headers: authorization("Basic\tjunk " + base64Of("web:web-secret"))},
		"not Base64":      {client: "web", headers: authorization("Basic web:web-secret")},
		"broken Base64":   {client: "web", headers: authorization("Basic " + strings.Replace(base64Of("web:web-secret"), "2", "!", 1))},
		"padding missing": {client: "web", headers: authorization("Basic " + strings.TrimRight(base64Of("web:web-secret"), "="))},
		"no colon":        {client: "web", headers: authorization("Basic " + base64Of("web-secret"))},
		"no name":         {client: "web", headers: authorization("Basic " + base64Of(":web-secret"))},
	}, refusedAs((*answer).e401)), testCase{name: "URL-safe alphabet", run: func(t *testing.T, s *server) {
		p := proof{client: "svc", secret: "~~~???>>>", headers: authorization("Basic " + base64.URLEncoding.EncodeToString([]byte("svc:~~~???>>>")))}
		refusedAs((*answer).e401)(t, s, p)
		p.headers = authorization("Basic " + base64Of("svc:~~~???>>>"))
		accepted(t, s, p)
	}})},
	{"C-13", append(each(testCase{foreign: true}, map[string]proof{
		"plus":    {client: oddID, headers: authorization("Basic " + base64Of("o%3Ad+d%2B%25:s%3Ae+c%2Br%25e%26t%3D"))},
		"percent": {client: oddID, headers: authorization("Basic " + base64Of("o%3Ad%20d%2B%25:s%3Ae%20c%2Br%25e%26t%3D"))},
		"body":    {client: oddID, params: []string{"client_id", oddID, "client_secret", oddSecret}},
	}, accepted), each(testCase{}, map[string]proof{
		"raw colon": {client: "svc", secret: "a:b", headers: authorization("Basic " + base64Of("svc:a:b"))},
	}, accepted)...)},
	{"C-14", append(each(testCase{foreign: true}, map[string]proof{
		"both":   {client: oddID, headers: authorization("Basic " + base64Of(oddID+":"+oddSecret))},
		"id":     {client: oddID, headers: authorization("Basic " + base64Of(oddID+":s%3Ae+c%2Br%25e%26t%3D"))},
		"secret": {client: oddID, headers: authorization("Basic " + base64Of("o%3Ad+d%2B%25:"+oddSecret))},
	}, refusedAs((*answer).e401)), each(testCase{}, map[string]proof{
		"plus":    {client: "svc", secret: "a+b", headers: authorization("Basic " + base64Of("svc:a+b"))},
		"percent": {client: "svc", secret: "a%41", headers: authorization("Basic " + base64Of("svc:a%41"))},
	}, refusedAs((*answer).e401))...)},
	{"C-15", each(testCase{foreign: true}, product([]string{"id", "secret"}, []string{"%zz", "%", "%00", "%1f", "%7f", "%c3%a9", "%ff", "\x00", "é"}),
		func(t *testing.T, s *server, c [2]string) {
			octets, err := url.QueryUnescape(c[1])
			if err != nil {
				octets = c[1]
			}
			if s.ours != nil { // every client exists, and its secret ends in those octets
				s.useTable(func(id string) (oauth2.ClientInfo, error) {
					c := fixture("svc")
					c.ID, c.Secret, c.OldSecret = id, storage.HashGenerated("svc-secret"+octets), c.Secret
					return c, nil
				})
			}
			s.token(t, goodToken, as("svc")).ok(t)
			credentials := "svc:svc-secret" + c[1]
			if c[0] == "id" {
				credentials = "svc" + c[1] + ":svc-secret"
			}
			s.unchanged(t, func() {
				s.token(t, goodToken, authorization("Basic " + base64Of(credentials))[0]).e401(t)
				s.revoke(t, "token=x", authorization("Basic " + base64Of(credentials))[0]).e401(t)
				if s.ours != nil {
					s.post(t, "/introspect", "token=x", authorization("Basic " + base64Of(credentials))[0]).e401(t)
				}
			})
		})},
	{"C-16", append(each(testCase{foreign: true}, map[string]proof{
		"secret": {client: "web", headers: [][2]string{basic("web", strings.Repeat("x", 4<<10))}, unasked: true},
		"id":     {client: "web", headers: [][2]string{basic(strings.Repeat("x", 4<<10), "web-secret")}, unasked: true},
	}, refusedAs((*answer).e401)), testCase{name: "limit", run: func(t *testing.T, s *server) {
		longest := strings.Repeat("x", 3<<10-len("svc:")) // 3 KiB are 4 KiB of Base64
		accepted(t, s, proof{client: "svc", secret: longest, headers: [][2]string{basic("svc", longest)}})
		refusedAs((*answer).e401)(t, s, proof{client: "svc", secret: longest + "x", headers: [][2]string{basic("svc", longest+"x")}, unasked: true})
	}})},
	{"C-17", each(testCase{foreign: true}, map[string][2]string{
		"equal": {as("web")[1], as("web")[1]}, "two clients": {as("web")[1], as("two")[1]}, "Basic and Bearer": {as("web")[1], "Bearer x"},
		"Bearer and Basic": {"Bearer x", as("web")[1]}, "two Bearer": {"Bearer x", "Bearer x"}, "unknown": {"Foo x", "Bar y"},
	}, func(t *testing.T, s *server, headers [2]string) {
		for _, params := range [][]string{nil, {"client_id", "web", "client_secret", "web-secret"}} {
			refusedAs(invalid)(t, s, proof{client: "web", params: params, headers: authorization(headers[:]...), unasked: true})
		}
	})},
	{"C-18", each(testCase{foreign: true}, map[string]proof{
		"Digest":    {client: "web", headers: authorization(`Digest username="web", realm="oauth", response="web-secret"`)},
		"Negotiate": {client: "web", headers: authorization("Negotiate " + base64Of("web:web-secret"))},
		"Foo":       {client: "web", headers: authorization("Foo " + base64Of("web:web-secret"))},
	}, refusedAs((*answer).e401))},
	{"C-19", append(each(testCase{foreign: true}, same("WEB", " web", "web "), func(t *testing.T, s *server, id string) {
		s.useTable(func(id string) (oauth2.ClientInfo, error) { // which compares as some databases do
			if strings.EqualFold(strings.TrimSpace(id), "web") {
				return fixture("web"), nil
			}
			return nil, nil
		})
		for _, by := range credentials {
			p := by(url.QueryEscape(id), "web-secret")
			if p.params != nil {
				p.params[1] = id
			}
			p.client = "web"
			refusedAs((*answer).e401)(t, s, p)
		}
	}), each(testCase{}, map[string]oauth2.ClientInfo{
		"empty secret":                     &storage.Client{ID: "web", GrantTypes: []string{"refresh_token", "client_credentials"}, Scope: "read"},
		"empty secret of a foreign client": &models.Client{ID: "web", Domain: "https://web.example"},
	}, func(t *testing.T, s *server, info oauth2.ClientInfo) {
		if c, ok := info.(*storage.Client); ok {
			if err := s.store.PutClient(t.Context(), c); err == nil {
				t.Error("PutClient takes a confidential client without a secret")
			}
		}
		owned := s.pair(t, "web")
		s.useTable(func(string) (oauth2.ClientInfo, error) { return info, nil })
		for _, secret := range []string{"", "x", "web-secret", info.GetSecret(), string(storage.HashGenerated("x"))} {
			for _, by := range credentials {
				s.refuses(t, owned, by("web", secret), (*answer).e401)
			}
		}
		s.refuses(t, owned, proof{params: []string{"client_id", "web"}}, (*answer).e401)
		s.restart()
		s.lives(t, "web", owned)
	})...)},
	{"C-20", []testCase{
		{name: "replaced", run: func(t *testing.T, s *server) {
			owned := s.pair(t, "web")
			c := fixture("web")
			c.Secret = storage.HashGenerated("new-secret")
			s.putClient(t, c)
			for _, by := range credentials {
				s.refuses(t, owned, by("web", "web-secret"), (*answer).e401)
			}
			owned = s.prove(t, "/token", credentials["Basic"]("web", "new-secret"), refreshment(owned.refresh())...).ok(t)
			s.prove(t, "/introspect", credentials["post"]("web", "new-secret"), "token", owned.access()).active(t)
			s.prove(t, "/revoke", credentials["post"]("web", "new-secret"), "token", owned.access()).done(t)
			s.dead(t, owned.access())
		}},
		{name: "deleted", run: func(t *testing.T, s *server) {
			code, owned := s.newCode(t, "web"), s.pair(t, "web")
			s.deleteClient(t, "web")
			s.refuses(t, owned, proof{headers: [][2]string{as("web")}}, (*answer).e401)
			s.dead(t, owned.access())
			s.putClient(t, fixture("web"))
			s.ended(t, "web", owned)
			s.redeem(t, "web", code).e400(t, "invalid_grant")
		}},
	}},
	{"C-21", each(testCase{}, map[string]func(s *server){
		"store": func(s *server) { s.store.Break(nil, nil, testbed.Fail) },
		"application's": func(s *server) {
			s.useTable(func(string) (oauth2.ClientInfo, error) { return nil, errors.New("no route to host") })
		},
	}, func(t *testing.T, s *server, fault func(*server)) {
		owned := s.pair(t, "web")
		fault(s)
		for _, secret := range []string{"web-secret", "wrong-secret", ""} {
			for _, by := range credentials {
				s.refuses(t, owned, by("web", secret), (*answer).e503)
			}
		}
		s.refuses(t, owned, proof{params: []string{"client_id", "nobody"}}, (*answer).e503)
		s.store.Break(nil, nil, nil)
		s.restart()
		s.lives(t, "web", owned)
	})},
}

// proof is how a client says who it is, and what to prove it for.
type proof struct {
	client  string // whose tokens are asked for and revoked
	secret  string // if set, that client's in place of its own
	params  []string
	headers [][2]string
	unasked bool // it is refused without the client store being asked
}

// credentials are the two ways to send a secret.
var credentials = map[string]func(id, secret string) proof{
	"Basic": func(id, secret string) proof { return proof{client: id, headers: [][2]string{basic(id, secret)}} },
	"post": func(id, secret string) proof {
		return proof{client: id, params: []string{"client_id", id, "client_secret", secret}}
	},
}

var assertion = []string{
	"client_assertion", "eyJhbGciOiJub25lIn0.eyJpc3MiOiJ3ZWIiLCJzdWIiOiJ3ZWIifQ.",
	"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
}

func authorization(values ...string) (headers [][2]string) {
	for _, v := range values {
		headers = append(headers, [2]string{"Authorization", v})
	}
	return headers
}

func base64Of(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// prove posts a request with a proof.
func (s *server) prove(t *testing.T, path string, p proof, namesAndValues ...string) *answer {
	t.Helper()
	return s.post(t, path, form(append(namesAndValues, p.params...)...), p.headers...)
}

// accepted is a case in which the proof is good at all endpoints, but that introspection is not for public
// clients.
func accepted(t *testing.T, s *server, p proof) {
	owned := s.prepare(t, p)
	a := s.prove(t, "/token", p, owned.next()...).ok(t)
	if s.ours != nil {
		i := s.prove(t, "/introspect", p, "token", a.access())
		if fixture(p.client).Public {
			i.e401(t)
		} else if i.member("client_id") != p.client {
			t.Errorf("introspects %s", i)
		}
	}
	s.prove(t, "/revoke", p, "token", a.access()).done(t)
	s.dead(t, a.access())
}

// refusedAs is a case in which the proof is refused at all endpoints. Nothing is spent or revoked.
func refusedAs(refused func(*answer, *testing.T) *answer) func(*testing.T, *server, proof) {
	return func(t *testing.T, s *server, p proof) {
		owned := s.prepare(t, p)
		s.refuses(t, owned, p, refused)
		s.works(t, owned.access())
		if owned.refresh() != "" {
			s.refreshes(t, p.client, owned.refresh())
		}
	}
}

// refuses fails unless a proof is refused at all endpoints, whatever is asked for, and changes nothing.
func (s *server) refuses(t *testing.T, owned *answer, p proof, refused func(*answer, *testing.T) *answer) {
	t.Helper()
	s.unchanged(t, func() {
		if p.unasked && s.store != nil {
			s.store.Break(nil, nil, testbed.Fail)
			defer s.store.Break(nil, nil, nil)
		}
		refused(s.prove(t, "/token", p, owned.next()...), t)
		for _, kind := range tokenKinds {
			refused(s.prove(t, "/revoke", p, "token", owned.member(kind)), t)
			if s.ours != nil {
				refused(s.prove(t, "/introspect", p, "token", owned.member(kind)), t)
			}
		}
	})
}

// prepare gets tokens for the client of a proof, then gives it the secret of the proof until the case ends.
func (s *server) prepare(t *testing.T, p proof) (owned *answer) {
	t.Helper()
	c := fixture(p.client)
	switch {
	case p.client == oddID:
		owned = s.token(t, goodToken, basic(url.QueryEscape(oddID), url.QueryEscape(oddSecret))).ok(t)
	case p.secret != "":
		info := s.issue(t, p.client, "", "read")
		owned = &answer{members: map[string]any{"access_token": info.GetAccess()}}
		c.Secret = storage.HashGenerated(p.secret)
		s.putClient(t, c)
	default:
		owned = s.pair(t, p.client)
	}
	return owned
}

// next is the request to the token endpoint that brings the next tokens.
func (a *answer) next() []string {
	if a.refresh() == "" {
		return []string{"grant_type", "client_credentials"}
	}
	return refreshment(a.refresh())
}
