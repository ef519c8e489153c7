package grants

import (
	"strings"
	"testing"

	"github.com/ostiary-go/ostiary/storage"
)

func TestOpaqueToken(t *testing.T) {
	id := storage.NewID()
	secret := newDraw().access
	for _, kind := range []Kind{AccessKind, RefreshKind, CodeKind} {
		s := opaque{}.Encode(kind, id, secret)
		if !strings.HasPrefix(s, "ost"+string(rune(kind))+"_") || len(s) != 75 {
			t.Errorf("%q has not the shape that secret scanners know", s)
		}
		gotKind, gotID, gotSecret, ok := opaque{}.Decode(s)
		if !ok || gotKind != kind || gotID != id || gotSecret != secret {
			t.Errorf("%q decodes to %c %s %t", s, gotKind, gotID, ok)
		}
		for i := range s { // every other string is turned away without asking the store
			for _, c := range []byte("Ab0-_~=\n") {
				if c == s[i] {
					continue
				}
				changed := s[:i] + string(c) + s[i+1:]
				if _, _, _, ok := (opaque{}).Decode(changed); ok {
					t.Fatalf("%q, which is %q changed at %d, is taken for a token", changed, s, i)
				}
			}
		}
		for _, other := range []string{"", s[1:], s[:74], s + "A", s + "=", strings.ToUpper(s), strings.ToLower(s), " " + s} {
			if _, _, _, ok := (opaque{}).Decode(other); ok {
				t.Errorf("%q is taken for a token", other)
			}
		}
	}
}

// A decoder of Base64 skips line ends: in the place of what stands for zeros they would be another token.
func TestOpaqueTokenHasNoLineEnds(t *testing.T) {
	for _, s := range lineEnds() {
		if _, _, _, ok := (opaque{}).Decode(s); ok {
			t.Errorf("%q is taken for a token", s)
		}
	}
}

// lineEnds are tokens whose last octet is 0, with line ends in the place of it.
func lineEnds() []string {
	s, id := "", storage.NewID()
	for !strings.HasSuffix(s, "AA") {
		s = opaque{}.Encode(AccessKind, id, newDraw().access)
	}
	return []string{s[:73] + "\n\n", s[:73] + "\r\n"}
}

func TestDigestDependsOnKind(t *testing.T) {
	secret := newDraw().access
	if digest(AccessKind, secret[:]).Is(digest(RefreshKind, secret[:])) || digest(RefreshKind, secret[:]).Is(digest(CodeKind, secret[:])) {
		t.Error("a secret has one digest for two kinds")
	}
}

// A token is one string: what decodes is what encoding it again gives.
func FuzzOpaqueDecode(f *testing.F) {
	id, secret := storage.NewID(), newDraw().access
	good := opaque{}.Encode(AccessKind, id, secret)
	for _, s := range append(lineEnds(),
		good, opaque{}.Encode(RefreshKind, id, secret), opaque{}.Encode(CodeKind, id, secret),
		"", "osta_", good+"=", good[:74]+"\n", strings.Repeat("A", 75), "ostf_"+good[5:], "OSTA_"+good[5:],
		"osta_"+strings.Repeat("\xff", 70), strings.Repeat(".", 1<<16), "Bearer "+good,
	) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		kind, id, secret, ok := opaque{}.Decode(s)
		if ok && (opaque{}).Encode(kind, id, secret) != s {
			t.Errorf("%q decodes, and encodes to another string", s)
		}
	})
}
