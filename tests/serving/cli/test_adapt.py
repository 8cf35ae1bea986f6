"""`foretell adapt`: what a user hands over is refused under the name of its option."""


def test_a_file_of_another_format_is_refused_by_its_option(refused, tmp_path):
    path = tmp_path / "measured.txt"
    path.write_text("architecture,latency_ms\n")
    words = ("adapt", "network.latency", "--device", "phone", "--measurements", path)
    refused(*words, message=f"measurements: got '{path}', expected a name that ends in one of .csv")
