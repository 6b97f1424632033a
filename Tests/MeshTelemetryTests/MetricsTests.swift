import MeshTelemetry
import Testing

@Suite struct MetricsTextTests {
    @Test func familiesAreWrittenInTheTextFormat() {
        let requests = MetricFamily(
            name: "requests_total", help: "Requests \\ all\nof them \"here\"", kind: .counter,
            samples: [
                MetricSample(.count(.max), labels: ["worker": "1", "listener": "b"]),
                MetricSample(.count(3), labels: ["listener": "a\"\\\n", "worker": "0"]),
            ])
        let load = MetricFamily(
            name: "load", help: "Load", kind: .gauge,
            samples: [
                MetricSample(.number(0.25)), MetricSample(.number(.nan), labels: ["a": "1"]),
                MetricSample(.number(-.infinity), labels: ["a": "2"]),
                MetricSample(.number(12_000_000), labels: ["a": "3"]),
            ])
        let expected = #"""
            # HELP load Load
            # TYPE load gauge
            load 0.25
            load{a="1"} NaN
            load{a="2"} -Inf
            load{a="3"} 12000000
            # HELP requests_total Requests \\ all\nof them "here"
            # TYPE requests_total counter
            requests_total{listener="a\"\\\n",worker="0"} 3
            requests_total{listener="b",worker="1"} 18446744073709551615

            """#
        #expect(MetricsText.render([requests, load]) == expected)
        #expect(MetricsText.render([load, requests]) == expected)
    }

    @Test func histogramBucketsAreCumulativeAndEndAtInfinity() {
        let value = HistogramValue(bounds: [0.5, 1], counts: [2, 0, 1], sum: 3.5)
        let family = MetricFamily(
            name: "wait_seconds", help: "Wait", kind: .histogram,
            samples: [MetricSample(.histogram(value), labels: ["k": "v"])])
        let expected = """
            # HELP wait_seconds Wait
            # TYPE wait_seconds histogram
            wait_seconds_bucket{k="v",le="0.5"} 2
            wait_seconds_bucket{k="v",le="1"} 2
            wait_seconds_bucket{k="v",le="+Inf"} 3
            wait_seconds_sum{k="v"} 3.5
            wait_seconds_count{k="v"} 3

            """
        #expect(MetricsText.render([family]) == expected)
    }

    @Test func familiesOfOneNameBecomeOne() {
        let one = MetricFamily(
            name: "x_total", help: "X", kind: .counter,
            samples: [MetricSample(.count(1), labels: ["w": "0"])])
        let two = MetricFamily(
            name: "x_total", help: "other", kind: .counter,
            samples: [MetricSample(.count(2), labels: ["w": "1"])])
        let text = MetricsText.render([one, two])
        #expect(
            text
                == "# HELP x_total X\n# TYPE x_total counter\nx_total{w=\"0\"} 1\nx_total{w=\"1\"} 2\n"
        )
    }

    @Test func nothingGivesNothing() {
        #expect(MetricsText.render([]) == "")
    }
}

@Suite struct MetricsRegistryTests {
    @Test func theSameNameAndLabelsGiveTheSameInstrument() {
        let registry = MetricsRegistry()
        registry.counter("a_total", "A", ["x": "1", "y": "2"]).increment(by: 2)
        registry.counter("a_total", "A", ["y": "2", "x": "1"]).increment()
        registry.counter("a_total", "A", ["x": "2"]).increment()
        let text = MetricsText.render(registry.collect())
        #expect(text.contains("a_total{x=\"1\",y=\"2\"} 3\n"))
        #expect(text.contains("a_total{x=\"2\"} 1\n"))
    }

    @Test func removedSeriesAreNotWritten() {
        let registry = MetricsRegistry()
        registry.gauge("g", "G", ["s": "a"]).set(1)
        registry.gauge("g", "G", ["s": "b"]).set(2)
        registry.remove("g", ["s": "a"])
        registry.remove("unknown", [:])
        #expect(MetricsText.render(registry.collect()).contains("g{s=\"b\"} 2\n"))
        #expect(!MetricsText.render(registry.collect()).contains("s=\"a\""))
    }

    @Test func histogramBoundsAreInclusive() {
        let histogram = MetricsRegistry().histogram("h", "H", bounds: [1, 2])
        for value in [0.5, 1, 1.5, 2, 2.5] { histogram.observe(value) }
        #expect(histogram.value == HistogramValue(bounds: [1, 2], counts: [2, 2, 1], sum: 7.5))
    }

    @Test func instrumentsLoseNoUpdateOfManyTasks() async {
        let registry = MetricsRegistry()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<1000 {
                        registry.counter("c_total", "C").increment()
                        registry.gauge("g", "G").add(0.5)
                        registry.histogram("h", "H", bounds: [1]).observe(0.25)
                    }
                }
            }
        }
        #expect(registry.counter("c_total", "C").value == 8000)
        #expect(registry.gauge("g", "G").value == 4000)
        #expect(registry.histogram("h", "H").value.counts == [8000, 0])
    }

    @Test func namesOutsideTheFormatStopTheProgram() async {
        await #expect(processExitsWith: .failure) {
            _ = MetricsRegistry().counter("a-b", "A")
        }
        await #expect(processExitsWith: .failure) {
            _ = MetricsRegistry().counter("a_total", "A", ["le": "1"])
        }
        await #expect(processExitsWith: .failure) {
            let registry = MetricsRegistry()
            _ = registry.counter("a_total", "A")
            _ = registry.gauge("a_total", "A")
        }
    }
}
