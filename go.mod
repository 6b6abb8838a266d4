module archeio

go 1.26

require (
	github.com/aws/aws-lambda-go v1.55.1
	github.com/gaissmai/bart v0.30.0
	github.com/go-json-experiment/json v1.27.2
)

require github.com/hashicorp/golang-lru/v2 v2.0.7
