package grants_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/ostiary-go/ostiary/grants"
)

func TestRequestIsNotPrinted(t *testing.T) {
	const secret = "hunter2"
	r := grants.Request{ClientSecret: secret, Code: secret, CodeVerifier: secret, RefreshToken: secret, Token: secret, Params: url.Values{"password": {secret}}}
	if v := slog.AnyValue(r).Resolve(); v.Kind() != slog.KindString {
		t.Errorf("a handler of logs gets %v", v.Kind())
	}
	for name, v := range map[string]any{
		"value": r, "pointer": &r, "slice": []grants.Request{r},
		"field": struct{ R grants.Request }{r}, "field that is a pointer": struct{ R *grants.Request }{&r}, "embedded": struct{ grants.Request }{r},
	} {
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("text", "r", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("JSON", "r", v)
		asJSON, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&log, "%s\n%v\n%+v\n%#v\n%s\n%q\n", asJSON, v, v, v, v, v)
		for line := range strings.Lines(log.String()) {
			if strings.Contains(line, secret) || !strings.Contains(line, "[request]") {
				t.Errorf("%s: %s", name, line)
			}
		}
	}
}
