module github.com/weir-dev/weir/bench/gate

go 1.26.0
