package introspect

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	bodyLimit   = 1 << 20 // bytes of an answer
	headerLimit = 64 << 10
)

// endpoint is who is asked, and how.
type endpoint struct {
	address       string
	authorization string // of ours
	client        http.Client
}

// basic writes a client's credentials as RFC 6749 2.3.1 has them.
func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
}

func (e *endpoint) prepare(inFlight int) {
	if e.client.Transport == nil {
		e.client.Transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: 5 * time.Second}).DialContext, // which outlives a request
			TLSHandshakeTimeout:    5 * time.Second,
			ForceAttemptHTTP2:      true,
			MaxConnsPerHost:        inFlight,
			MaxIdleConnsPerHost:    inFlight,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: headerLimit,
		}
	}
	e.client.Transport = stay{e.client.Transport}
	e.client.Jar = nil
}

// stay hides where a redirect leads to, so that an http.Client follows none. It is not told of in an error
// either: it may be anything that the endpoint was sent.
type stay struct{ http.RoundTripper }

func (s stay) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := s.RoundTripper.RoundTrip(r)
	if answer != nil {
		answer.Header.Del("Location")
	}
	return answer, err
}

// ask sends a token (RFC 7662 2.1) and returns the body of the answer. The error has nothing in it that was
// sent or that came back.
func (e *endpoint) ask(ctx context.Context, access string) ([]byte, error) {
	form := url.Values{"token": {access}, "token_type_hint": {"access_token"}}.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, e.address, strings.NewReader(form))
	if err != nil {
		return nil, errors.New("introspect: the request can not be made")
	}
	r.Header.Set("Authorization", e.authorization)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Accept-Encoding", "identity") // the limit is one of what is unpacked
	r.Header["Idempotency-Key"] = []string{}    // is not sent: lets net/http ask again where a kept connection was closed

	res, err := e.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("introspect: asking failed: %w", cause(err))
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, bodyLimit+1)) // of any answer, so that the connection can be kept
	kind, _, kindErr := mime.ParseMediaType(res.Header.Get("Content-Type"))
	switch {
	case res.StatusCode == http.StatusUnauthorized:
		return nil, errors.New("introspect: the endpoint answered 401: it does not know our own client ID and secret")
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("introspect: the endpoint answered %d", res.StatusCode)
	case err != nil:
		return nil, fmt.Errorf("introspect: the answer broke off: %w", cause(err))
	case len(body) > bodyLimit:
		return nil, errors.New("introspect: the answer is over 1 MiB")
	case kindErr != nil || kind != "application/json" || len(res.Header["Content-Type"]) != 1:
		return nil, errors.New("introspect: the answer is not of type application/json")
	}
	return body, nil
}

// cause is what may be told of a failed exchange. Other errors may quote what the endpoint sent, which may
// be what it was sent: they are told by their type.
func cause(err error) error {
	if wrapper, ok := errors.AsType[*url.Error](err); ok {
		err = wrapper.Err
	}
	if told, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return told
	}
	for _, told := range []error{context.DeadlineExceeded, context.Canceled, http.ErrSchemeMismatch, io.ErrUnexpectedEOF, io.EOF} {
		if errors.Is(err, told) {
			return told
		}
	}
	if told, ok := errors.AsType[net.Error](err); ok {
		return told
	}
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return fmt.Errorf("%T", err)
}
