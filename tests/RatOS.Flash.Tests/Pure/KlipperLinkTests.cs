using RatOS.Flash.Klipper;

namespace RatOS.Flash.Tests.Pure;

/// <summary>Literal frames are those of the recording.</summary>
public sealed class KlipperLinkTests
{
    private const string IdentifyAt0 = "08100100285E9F7E";
    private const string Identify = "010028";

    private readonly KlipperLink _link = new();
    private TimeSpan _now;

    [Fact]
    public void A_wrong_first_number_costs_one_round_trip()
    {
        Send(Identify);
        Assert.Equal([IdentifyAt0], Frames());
        Receive("0515C92C7E"); // it wants 5
        Assert.Equal(["081501002830C87E"], Frames());
        Receive("0516FBB77E");
        Assert.Equal((1, 0), (_link.Acknowledged, _link.InFlight));
        Assert.Equal(Timeout.InfiniteTimeSpan, _link.Deadline);
    }

    [Fact]
    public void Only_one_block_is_in_flight_until_the_firmwares_number_is_known()
    {
        Send(Identify);
        Assert.False(_link.HasRoom(3));
        Frames();
        Receive("05118F087E");
        for (var i = 0; i < 12; i++)
            Send("01852028");
        Assert.False(_link.HasRoom(4));
        Assert.Equal(12, Frames().Count);
    }

    [Fact]
    public void The_ack_behind_an_answer_is_no_nak()
    {
        Send(Identify);
        Frames();
        Receive("0A117C00000000BE807E"); // an answer that says "next is 1" already
        Assert.Equal(1, _link.Acknowledged);
        Send("07");
        Assert.Single(Frames());
        Receive("05118F087E"); // its ordinary ACK
        Assert.Empty(Frames());
        Receive("05118F087E"); // another one: a NAK
        Assert.Single(Frames());
    }

    [Fact]
    public void One_repetition_answers_all_naks_of_one_loss()
    {
        InStep();
        for (var i = 0; i < 5; i++)
            Send("07");
        var sent = Frames();
        for (var i = 0; i < 5; i++)
            Receive("05118F087E"); // all five were refused: the first was lost
        Assert.Equal(sent, Frames());
        Receive("05118F087E");
        Assert.Empty(Frames());
    }

    [Fact]
    public void Echoes_of_a_repetition_do_not_cause_the_next_one()
    {
        InStep();
        Send("07");
        Frames();
        _now += TimeSpan.FromMilliseconds(60);
        Assert.Single(Frames());
        Receive("0512BD937E"); // both copies arrived: one ACK each
        Send("07");
        Assert.Single(Frames());
        Receive("0512BD937E");
        Assert.Empty(Frames());
    }

    [Fact]
    public void Silence_repeats_everything_in_flight_ever_more_seldom()
    {
        InStep();
        Send("07");
        Send("05");
        var sent = Frames();
        var at = new List<int>();
        for (var ms = 1; ms <= 1000; ms++)
        {
            _now += TimeSpan.FromMilliseconds(1);
            var frames = Frames();
            if (frames.Count == 0)
                continue;
            Assert.Equal(sent, frames);
            at.Add(ms);
        }
        Assert.Equal([50, 150, 350, 550, 750, 950], at);
    }

    [Fact]
    public void A_block_that_broke_off_does_not_swallow_those_behind_it()
    {
        InStep();
        Send("07");
        Frames();
        Convert.FromHexString("311E0092").CopyTo(_link.Space);
        _link.Received(4);
        Assert.False(_link.TryTake(_now, out _));
        _now += TimeSpan.FromMilliseconds(50);
        Assert.Single(Frames());
        Receive("0512BD937E");
        Assert.Equal(0, _link.InFlight);
    }

    [Fact]
    public void A_firmware_that_restarted_its_numbers_is_followed()
    {
        InStep();
        Send("07");
        Frames();
        Receive("0519" + "03407E"); // it wants 9, though 1 is in flight
        Assert.StartsWith("061907", Assert.Single(Frames()), StringComparison.Ordinal);
    }

    [Fact]
    public void Lost_answers_narrow_the_window_once_for_all_that_were_in_flight()
    {
        InStep();
        var blocks = new List<long>();
        while (_link.HasRoom(1))
            blocks.Add(_link.Send([7]));
        Assert.Equal(12, blocks.Count);
        foreach (var block in blocks)
            _link.Lost(block);
        Frames();
        Receive("051D45647E"); // 13: all twelve are acknowledged
        var count = 0;
        for (; _link.HasRoom(1); count++)
            _link.Send([7]);
        Assert.Equal(6, count);
    }

    private void InStep()
    {
        Send(Identify);
        Frames();
        Receive("05118F087E");
    }

    private void Send(string hex) => _link.Send(Convert.FromHexString(hex));

    private List<string> Frames()
    {
        var frames = new List<string>();
        while (_link.NextFrame(_now) is { IsEmpty: false } frame)
            frames.Add(Convert.ToHexString(frame.Span));
        return frames;
    }

    private void Receive(string hex)
    {
        var bytes = Convert.FromHexString(hex);
        bytes.CopyTo(_link.Space);
        _link.Received(bytes.Length);
        Assert.True(_link.TryTake(_now, out _));
    }
}
