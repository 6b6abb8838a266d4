package regions_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"archeio/ranges"
	"archeio/ranges/regions"
)

func everything() []regions.Region {
	var rs []regions.Region
	for _, cloud := range ranges.Clouds {
		rs = slices.AppendSeq(rs, regions.All(string(cloud)))
	}
	return rs
}

func TestTablesAreSorted(t *testing.T) {
	t.Parallel()
	for _, cloud := range ranges.Clouds {
		t.Run(string(cloud), func(t *testing.T) {
			last, n := "", 0
			for r := range regions.All(string(cloud)) {
				if r.Name <= last {
					t.Errorf("%q is after %q", r.Name, last)
				}
				last = r.Name
				n++
			}
			if n < 30 {
				t.Errorf("%d regions, want at least 30", n)
			}
		})
	}
}

func TestRowsAreComplete(t *testing.T) {
	t.Parallel()
	for _, cloud := range ranges.Clouds {
		for r := range regions.All(string(cloud)) {
			if got, want := r.Partition != "", cloud == ranges.AWS; got != want {
				t.Errorf("%s %s: partition is %q", cloud, r.Name, r.Partition)
			}
			if !r.Point.Valid() {
				t.Errorf("%s %s: invalid point %v", cloud, r.Name, r.Point)
			}
			known := r.Place != "" && r.Point != regions.Point{}
			unknown := r.Place == "" && r.Point == regions.Point{}
			if r.Located && !known || !r.Located && !unknown {
				t.Errorf("%s %s: located %t with place %q and point %v", cloud, r.Name, r.Located, r.Place, r.Point)
			}
			if r.Place != strings.TrimSpace(r.Place) {
				t.Errorf("%s %s: place %q starts or ends with a space", cloud, r.Name, r.Place)
			}
		}
	}
}

func TestPartitions(t *testing.T) {
	t.Parallel()
	prefixes := []struct{ prefix, partition string }{
		{"cn-", "aws-cn"},
		{"eusc-", "aws-eusc"},
		{"us-gov-", "aws-us-gov"},
		{"", "aws"},
	}
	for r := range regions.All("AWS") {
		for _, p := range prefixes {
			if strings.HasPrefix(r.Name, p.prefix) {
				if r.Partition != p.partition {
					t.Errorf("%s: partition %q, want %q", r.Name, r.Partition, p.partition)
				}
				break
			}
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	for _, cloud := range ranges.Clouds {
		for r := range regions.All(string(cloud)) {
			if got, ok := regions.Find(string(cloud), r.Name); !ok || got != r {
				t.Errorf("Find(%q, %q) = %v, %t, want %v", cloud, r.Name, got, ok, r)
			}
		}
	}

	absent := []struct{ cloud, name string }{
		{"AWS", "GLOBAL"},
		{"AWS", "me-west-1"},
		{"AWS", "sa-west-1"},
		{"AWS", "us-south-1"},
		{"AWS", "US-EAST-1"},
		{"AWS", "us-east"},
		{"AWS", "us-east-10"},
		{"AWS", "us-central1"},
		{"AWS", ""},
		{"AWS", "zz"},
		{"Azure", "norwayeast"},
		{"Azure", "us-east-1"},
		{"GCP", "global"},
		{"aws", "us-east-1"},
		{"", "us-east-1"},
	}
	for _, a := range absent {
		if got, ok := regions.Find(a.cloud, a.name); ok || got != (regions.Region{}) {
			t.Errorf("Find(%q, %q) = %v, %t, want false", a.cloud, a.name, got, ok)
		}
	}
}

func TestAll(t *testing.T) {
	t.Parallel()
	for r := range regions.All("Mars") {
		t.Errorf("unknown cloud has region %v", r)
	}
	n := 0
	for range regions.All("GCP") {
		n++
		if n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("stopped after %d regions, want 3", n)
	}
}

func TestNoAllocation(t *testing.T) {
	n := testing.AllocsPerRun(100, func() {
		if _, ok := regions.Find("Azure", "westeurope"); !ok {
			t.Fatal("westeurope is missing")
		}
	})
	if n != 0 {
		t.Errorf("Find allocates %v times, want 0", n)
	}
}

// A wrong sign or swapped coordinates put a region on another continent, near the
// wrong region of another cloud.
func TestNeighbours(t *testing.T) {
	t.Parallel()
	var commercial []regions.Region
	for r := range regions.All("AWS") {
		if r.Partition == "aws" {
			commercial = append(commercial, r)
		}
	}
	x := regions.NewIndex(commercial)

	tests := []struct{ cloud, name, want string }{
		{"Azure", "australiaeast", "ap-southeast-2"},
		{"Azure", "australiasoutheast", "ap-southeast-4"},
		{"Azure", "austriaeast", "eu-central-2"},
		{"Azure", "brazilse", "sa-east-1"},
		{"Azure", "canadaeast", "ca-central-1"},
		{"Azure", "centralfrance", "eu-west-3"},
		{"Azure", "centralindia", "ap-south-1"},
		{"Azure", "centralus", "us-east-2"},
		{"Azure", "denmarkeast", "eu-north-1"},
		{"Azure", "eastus", "us-east-1"},
		{"Azure", "germanywc", "eu-central-1"},
		{"Azure", "indiasouthcentral", "ap-south-2"},
		{"Azure", "israelcentral", "il-central-1"},
		{"Azure", "japanwest", "ap-northeast-3"},
		{"Azure", "koreasouth", "ap-northeast-2"},
		{"Azure", "newzealandnorth", "ap-southeast-6"},
		{"Azure", "northeurope", "eu-west-1"},
		{"Azure", "southafricanorth", "af-south-1"},
		{"Azure", "southeastasia", "ap-southeast-1"},
		{"Azure", "spaincentral", "eu-south-2"},
		{"Azure", "switzerlandw", "eu-central-2"},
		{"Azure", "taiwannorth", "ap-east-2"},
		{"Azure", "uaenorth", "me-central-1"},
		{"Azure", "westus", "us-west-1"},
		{"Azure", "westus2", "us-west-2"},
		{"OCI", "af-johannesburg-1", "af-south-1"},
		{"OCI", "ap-chuncheon-1", "ap-northeast-2"},
		{"OCI", "ap-batam-1", "ap-southeast-1"},
		{"OCI", "eu-jovanovac-1", "eu-south-1"},
		{"OCI", "eu-marseille-1", "eu-south-1"},
		{"OCI", "me-jeddah-1", "il-central-1"},
		{"OCI", "mx-monterrey-1", "mx-central-1"},
		{"OCI", "sa-valparaiso-1", "sa-east-1"},
		{"OCI", "uk-cardiff-1", "eu-west-2"},
		{"OCI", "us-abilene-1", "mx-central-1"},
		{"OCI", "us-ashburn-1", "us-east-1"},
		{"OCI", "us-chicago-1", "us-east-2"},
		{"OCI", "us-quincy-1", "us-west-2"},
		{"OCI", "us-sanjose-1", "us-west-1"},
		{"GCP", "africa-south1", "af-south-1"},
		{"GCP", "asia-east1", "ap-east-2"},
		{"GCP", "asia-east2", "ap-east-1"},
		{"GCP", "asia-northeast1", "ap-northeast-1"},
		{"GCP", "asia-southeast2", "ap-southeast-3"},
		{"GCP", "asia-southeast3", "ap-southeast-7"},
		{"GCP", "europe-north1", "eu-north-1"},
		{"GCP", "europe-west12", "eu-south-1"},
		{"GCP", "europe-west2", "eu-west-2"},
		{"GCP", "me-central2", "me-south-1"},
		{"GCP", "northamerica-northeast1", "ca-central-1"},
		{"GCP", "northamerica-south1", "mx-central-1"},
		{"GCP", "southamerica-east1", "sa-east-1"},
		{"GCP", "southamerica-west1", "sa-east-1"},
		{"GCP", "us-east4", "us-east-1"},
		{"GCP", "us-east5", "us-east-2"},
		{"GCP", "us-west1", "us-west-2"},
		{"GCP", "us-west2", "us-west-1"},
	}
	for _, test := range tests {
		t.Run(test.cloud+"/"+test.name, func(t *testing.T) {
			r, ok := regions.Find(test.cloud, test.name)
			if !ok || !r.Located {
				t.Fatalf("Find = %v, %t, want a located region", r, ok)
			}
			if got := commercial[x.Nearest(r.Point, -1)].Name; got != test.want {
				t.Errorf("nearest AWS region is %s, want %s", got, test.want)
			}
		})
	}
}

// The tables must be data in the binary. A call, a closure, a map or a reference to
// another variable would need an init function.
func TestTablesNeedNoInit(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if decl.Recv == nil && decl.Name.Name == "init" {
					t.Errorf("%s: init function", fset.Position(decl.Pos()))
				}
			case *ast.GenDecl:
				if decl.Tok != token.VAR {
					continue
				}
				ast.Inspect(decl, func(n ast.Node) bool {
					switch n.(type) {
					case *ast.CallExpr, *ast.FuncLit, *ast.MapType, *ast.SelectorExpr, *ast.IndexExpr:
						t.Errorf("%s: not a constant", fset.Position(n.Pos()))
					}
					return true
				})
			}
		}
	}
}
