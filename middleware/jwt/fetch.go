package jwt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	fetchTimeout = 5 * time.Second // for metadata and keys together
	bodyLimit    = 1 << 20         // bytes, after decompression

	usualAge, leastAge, mostAge = 5 * time.Minute, time.Minute, time.Hour
)

// ownClient shares no connections with others.
func ownClient() *http.Client {
	return &http.Client{CheckRedirect: stay, Transport: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		ForceAttemptHTTP2:      true,
		MaxResponseHeaderBytes: 64 << 10,
	}}
}

// stay follows no redirect: it could lead off https.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// fetch finds the keys of the issuer, and how long they may be kept.
func (s *source) fetch(ctx context.Context) (keys []*key, age time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	if !s.foreign {
		defer s.client.CloseIdleConnections() // nothing is left open between fetches
	}
	var text []byte
	for _, address := range s.metadata {
		text, _, err = s.get(ctx, address)
		if !errors.Is(err, errNotThere) {
			break
		}
	}
	if err != nil {
		return nil, 0, fmt.Errorf("its metadata: %v", err)
	}
	address, err := readMetadata(text, s.issuer)
	if err != nil {
		return nil, 0, fmt.Errorf("its metadata: %v", err)
	}
	text, header, err := s.get(ctx, address)
	if err == nil {
		keys, err = readKeys(text)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("its jwks_uri: %v", err)
	}
	return keys, maxAge(header), nil
}

var errNotThere = errors.New("the answer is 404")

func (s *source) get(ctx context.Context, address string) (text []byte, header http.Header, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, err
	}
	r.Header.Set("Accept", "application/json")
	answer, err := s.client.Do(r)
	if err != nil {
		return nil, nil, err
	}
	defer answer.Body.Close()
	switch answer.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return nil, nil, errNotThere
	default:
		return nil, nil, fmt.Errorf("the answer is %d", answer.StatusCode)
	}
	text, err = io.ReadAll(io.LimitReader(answer.Body, bodyLimit+1))
	if err == nil && len(text) > bodyLimit {
		err = fmt.Errorf("the answer is longer than %d bytes", bodyLimit)
	}
	return text, answer.Header, err
}

// maxAge reads Cache-Control (RFC 9111 5.2.2), within reason.
func maxAge(h http.Header) time.Duration {
	age := usualAge
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return leastAge
		case "max-age":
			seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
			if err != nil {
				return leastAge
			}
			age = time.Duration(seconds) * time.Second
		}
	}
	return min(max(age, leastAge), mostAge)
}
