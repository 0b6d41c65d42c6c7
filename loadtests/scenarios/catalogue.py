"""All scenarios, by their names in SCENARIOS.md."""

from collections.abc import Callable, Mapping
from typing import Final

from loadtests.scenarios.judges import (
    answers_within,
    everybody_hears,
    honest_people_come_first,
    is_normal_after_the_outage,
    no_forged_ticket_opens,
    no_place_gets_worse,
    sells_out,
    stays_flat,
)
from loadtests.scenarios.plan import Group
from loadtests.scenarios.scenario import Room, Scenario
from loadtests.shape import Shape, Stretch

NOT_YET: Final = "a crowd that is not written yet"
STAFF: Final = 0.01
QUIET_S: Final = 10.0


def evenly(seconds: float) -> Callable[[int], Shape]:
    """Everybody within so many seconds."""
    return lambda people: Shape.steady(people / seconds, seconds)


def step(times: float, idle_s: float, within_s: float, hold_s: float) -> Callable[[int], Shape]:
    """From idle to so many times as much within a moment, and on."""

    def shape(people: int) -> Shape:
        top = people / (idle_s / times + within_s * (1 + 1 / times) / 2 + hold_s)
        return Shape(Stretch(idle_s, top / times, top / times), Stretch(within_s, top / times, top),
                     Stretch(hold_s, top, top))  # fmt: skip

    return shape


def waves(*parts: tuple[float, float, float]) -> Callable[[int], Shape]:
    """One after the other: so much of all people, within so many seconds, and then so many seconds of nobody."""

    def shape(people: int) -> Shape:
        stretches: list[Stretch] = []
        for share, seconds, rest_s in parts:
            rate = people * share / seconds
            stretches += [Stretch(seconds, rate, rate), Stretch(rest_s, 0.0, 0.0)]
        return Shape(*stretches)

    return shape


def front_loaded(share: float, first_s: float, tail_s: float) -> Callable[[int], Shape]:
    """A large part at once, the others in a tail that ends in nothing."""

    def shape(people: int) -> Shape:
        rate, after = people * share / first_s, 2 * people * (1 - share) / tail_s
        return Shape(Stretch(first_s, rate, rate), Stretch(tail_s, after, 0.0))

    return shape


def everyone(life: str) -> tuple[Group, ...]:
    """All behave alike."""
    return (Group(life=life, share=1.0),)  # type: ignore[arg-type]  # one of its words


def _listed(name: str, title: str, needs: str = NOT_YET) -> Scenario:
    """One that is not played."""
    return Scenario(
        name=name, title=title, happened="", kept="", people=0, units_a_person=0, arrive=evenly(1), groups=(),
        needs=needs,
    )  # fmt: skip


_ALL: Final = (
    Scenario(
        name="S1",
        title="The opening second",
        happened="Heyuan and Zhengzhou, February 2020: 300,000 people were online before 19:00 for 20,001 orders; "
        "30,000 bookings in 435 s, and each shop's stock was gone in 10 to 15 s.",
        kept="Fifteen people for each order, all within 3 s; a tap again every 5 s; 500 shops, chosen by Zipf.",
        people=1_500,
        units_a_person=1 / 3,
        arrive=evenly(3),
        groups=everyone("rush"),
        judges=(sells_out, everybody_hears(0.99), answers_within("book", 5_000)),
    ),
    Scenario(
        name="S2",
        title="Guangzhou's evening",
        happened="Guangzhou, 31 January 2020: 170 million clicks in a window of four hours; one tap in five reached "
        "the server.",
        kept="Taps 5 s apart, one in five arrives; a page, the stock, a booking at most, its result 2 to 4 times.",
        people=800,
        units_a_person=1,
        arrive=evenly(15),
        groups=everyone("evening"),
        judges=(everybody_hears(0.99), answers_within("book", 2_000)),
    ),
    _listed("S3", "A stampede although it is a lottery", "the slow identity check of the entitled rule, and the draw"),
    Scenario(
        name="S4",
        title="A step of seventy from idle",
        happened="Massachusetts, February 2021: the vaccine portal went from 1,000 to 70,000 visits a minute.",
        kept="Seventy times the idle rate within a second, and held.",
        people=1_200,
        units_a_person=6,
        arrive=step(70, idle_s=5, within_s=1, hold_s=12),
        groups=everyone("rush"),
        judges=(everybody_hears(0.99), answers_within("book", 5_000)),
    ),
    _listed("S5", "An announcement without a time"),
    _listed("S6", "Registration without scarcity", "messages, and a mode in which everybody gets some"),
    Scenario(
        name="S7",
        title="A long window, front-loaded",
        happened="Korea, 2020: 40 % of 22 hours came in the first 30 minutes.",
        kept="Four in ten within the first tenth of the time, the others in a tail.",
        people=1_200,
        units_a_person=2,
        arrive=front_loaded(0.4, first_s=3, tail_s=25),
        groups=everyone("rush"),
        judges=(everybody_hears(0.99), answers_within("book", 3_000)),
    ),
    _listed("S8", "Staggered by digit"),
    Scenario(
        name="S9",
        title="Searching where there is nothing",
        happened="Baden-Württemberg and Berlin, 2021: 55 to 75 searches for each slot there was.",
        kept="Sixty looks at the stock for each unit; reads of what is sold out dominate.",
        people=400,
        units_a_person=1 / 3,
        looks=20,
        arrive=evenly(5),
        groups=everyone("search"),
        judges=(sells_out, answers_within("stock", 1_000)),
    ),
    Scenario(
        name="S10",
        title="A retry storm",
        happened="The Netherlands and Taichung, 2020 and 2021: 186,000 people made 3.6 million tries.",
        kept="An outage in the middle; whoever hears an error tries again at once, whatever time was told.",
        people=500,
        units_a_person=6,
        arrive=evenly(40),
        groups=everyone("insist"),
        outage=(8.0, 23.0),
        patience_s=60,
        judges=(is_normal_after_the_outage, everybody_hears(0.95)),
    ),
    Scenario(
        name="S11",
        title="Polling in the waiting room",
        happened="80,000 to 800,000 people waited in the rooms of ticket and vaccine portals.",
        kept="Ten people wait for each who is let in; one in ten drops out and comes back with the same ticket.",
        people=1_000,
        units_a_person=1,
        arrive=evenly(10),
        groups=everyone("wait"),
        room=Room(outflow_per_s=5),
        judges=(no_place_gets_worse, answers_within("poll", 1_000)),
    ),
    Scenario(
        name="S12",
        title="Bots",
        happened="On the days of sales 1 to 5 % of the clients made 50 to 90 % of the requests.",
        kept="One client in twenty is a bot with forty requests for one of anybody else's: forged tickets, reused "
        "keys, no pauses.",
        people=800,
        units_a_person=1,
        arrive=evenly(5),
        groups=(Group(life="bot", share=0.05), Group(life="rush", share=0.95)),
        judges=(no_forged_ticket_opens, honest_people_come_first(0.9), everybody_hears(0.99)),
    ),
    _listed("S13", "Hold and abandon"),
    _listed("S14", "A lottery's batch", "the draw"),
    _listed("S15", "The pick-up desk"),
    Scenario(
        name="S16",
        title="A second wave, many times the first",
        happened="Taipei, 2020: 110,000 visits became 789,000.",
        kept="A wave, a rest, and one that is seven times as large.",
        people=1_600,
        units_a_person=6,
        arrive=waves((1 / 8, 3, 5), (7 / 8, 5, 0)),
        groups=everyone("rush"),
        judges=(everybody_hears(0.99),),
    ),
    _listed("S17", "A wave of changes and cancels"),
    Scenario(
        name="S18",
        title="The staff's lane",
        happened="North Rhine-Westphalia, 2021: the staff's own tool died with the public site.",
        kept="Pharmacists work quietly for a while; then the public comes, a hundred for each of them, within 6 s.",
        people=2_000,
        units_a_person=1,
        arrive=waves((STAFF, 1, QUIET_S - 1), (1 - STAFF, 6, 0)),
        groups=(Group(life="desk", share=STAFF, comes_first=True), Group(life="rush", share=1 - STAFF)),
        judges=(stays_flat("desk: slots", QUIET_S, 250), everybody_hears(0.99)),
    ),
)
SCENARIOS: Final[Mapping[str, Scenario]] = {scenario.name: scenario for scenario in _ALL}
