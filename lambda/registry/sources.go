package registry

import "archeio/lambda/upstreams"

// Source is a kind of registry that mirrors can be filled from.
type Source struct {
	// Name is that of the product, Example a source as the settings have it.
	Name, Example string
	// Catalog reports whether the repositories are found by the listings of the
	// registry. If not, they must be named.
	Catalog bool
	// Repositories, Login, Limits and LeftOut are text for operators: how
	// repositories are found, which credentials the registry requires, how it limits
	// requests, and what is not copied.
	Repositories, Login, Limits, LeftOut string
	// Habits are those of scripts/lab/rude that simulate it in tests.
	Habits []string
}

// Sources are the registries that are known to work, because their habits are
// simulated in tests. Others with the API of the distribution specification work
// too.
var Sources = []Source{
	{
		Name: upstreams.ArtifactRegistry.Name, Example: "us-docker.pkg.dev/PROJECT/REPOSITORY", Catalog: true,
		Repositories: "listed below the prefix, with untagged images; a folder with 10,000 or more names cannot be proven complete and must be named",
		Login:        "none for public repositories, or a service account key as `_json_key`",
		Limits:       upstreams.ArtifactRegistry.Limits + ": waited for",
		LeftOut:      "nothing; untagged images are listed, so referrers cost no requests",
		Habits:       []string{"google-tags", "429-minute", "redirect", "token"},
	},
	{
		Name: upstreams.GHCR.Name, Example: "ghcr.io/ORGANIZATION",
		Repositories: "must be named",
		Login:        "none for public packages, or a token with `read:packages`",
		Limits:       upstreams.GHCR.Limits + ": waited for",
		LeftOut:      "nothing",
		Habits:       []string{"catalog-405", "prefix-403", "token-no-expiry", "redirect", "referrers-404", "unsorted"},
	},
	{
		Name: upstreams.DockerHub.Name, Example: "docker.io/ORGANIZATION",
		Repositories: "must be named",
		Login:        "none for public images, or an access token; the key is `https://index.docker.io/v1/` or `docker.io`",
		Limits:       upstreams.DockerHub.Limits + ": waited for as long as the registry asks, up to 12 hours; tags are compared with HEAD requests, which do not count",
		LeftOut:      "nothing",
		Habits:       []string{"catalog-401", "prefix-401", "token", "redirect", "429-retry-after", "referrers-404"},
	},
	{
		Name: upstreams.Quay.Name, Example: "quay.io/ORGANIZATION", Catalog: true,
		Repositories: "from the catalog, 100 a page; it has all organizations, so naming them is faster",
		Login:        "none for public repositories, or a robot account; the key may have a path, such as `quay.io/ORGANIZATION`",
		Limits:       upstreams.Quay.Limits + ": waited for, and all requests slow down",
		LeftOut:      "nothing",
		Habits:       []string{"catalog-token", "tags-token", "n-max-400", "prefix-401", "token", "redirect-302", "429-each"},
	},
	{
		Name: upstreams.ECR.Name, Example: "ACCOUNT.dkr.ecr.REGION.amazonaws.com/PREFIX", Catalog: true,
		Repositories: "from the catalog",
		Login:        "the role of the functions with `ecr:GetAuthorizationToken`, or a password of 12 hours from `aws ecr get-login-password`",
		Limits:       upstreams.ECR.Limits + ": waited for",
		LeftOut:      "nothing",
		Habits:       []string{"catalog-token-405", "basic-expires-403", "head-no-digest", "redirect", "referrers-401"},
	},
	{
		Name: upstreams.ECRPublic.Name, Example: "public.ecr.aws/ALIAS",
		Repositories: "must be named",
		Login:        "none",
		Limits:       upstreams.ECRPublic.Limits + ": set `rate` to 1, or all requests slow down by themselves",
		LeftOut:      "nothing",
		Habits:       []string{"catalog-401", "prefix-403", "token-expires-400", "redirect", "429-each", "referrers-404"},
	},
	{
		Name: upstreams.GitLab.Name, Example: "registry.gitlab.com/GROUP/PROJECT",
		Repositories: "must be named, as only administrators may list the catalog",
		Login:        "none for public projects, or a deploy token with `read_registry`",
		Limits:       upstreams.GitLab.Limits + ": waited for",
		LeftOut:      "nothing",
		Habits:       []string{"catalog-403", "prefix-403", "token", "redirect", "tags-page", "referrers-404"},
	},
	{
		Name: "Harbor", Example: "harbor.example.com/PROJECT",
		Repositories: "must be named with a robot account of a project; from the catalog with one of the system that may list it",
		Login:        "a robot account",
		Limits:       "none of its own",
		LeftOut:      "images that Harbor does not serve, for example vulnerable ones: they are reported as errors",
		Habits:       []string{"catalog-403", "prefix-403", "token-login", "empty-pages", "referrers-one-404", "tag-404"},
	},
	{
		Name: "Nexus, Artifactory", Example: "nexus.example.com/REPOSITORY", Catalog: true,
		Repositories: "from the catalog",
		Login:        "user name and password, or a token",
		Limits:       "none of their own",
		LeftOut:      "referrers without a tag, where a repository does not list them",
		Habits:       []string{"catalog-whole", "tags-whole", "basic", "head-405", "referrers-406"},
	},
	{
		Name: "distribution, Zot", Example: "registry.example.com", Catalog: true,
		Repositories: "from the catalog",
		Login:        "as configured",
		Limits:       "none of their own",
		LeftOut:      "referrers without a tag with distribution, which does not list them",
		Habits:       []string{"catalog-page", "tags-page", "n-max-400", "referrers-404", "tags-404"},
	},
}
