"""The zone that keeps tests away from midnight."""

from datetime import datetime

from tests.morning import HOUR_OF_DAY, morning_zone


def test_it_is_ten_in_the_morning_there_at_whatever_hour_one_asks() -> None:
    began_s = 1_582_934_400  # 29 February 2020, 00:00 UTC
    for hour in range(48):
        for minute in (0, 59):
            now_s = began_s + hour * 3_600 + minute * 60 + 59.9
            assert datetime.fromtimestamp(now_s, morning_zone(now_s)).hour == HOUR_OF_DAY
